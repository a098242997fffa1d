"""Keeps one program running: starts it, waits until it is ready, and starts it again when it ends.

Knows nothing of other programs. What was ready once is started again for ever, with pauses that
grow; what never gets ready is given up.
"""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from feedback.begin import BAD_SETTINGS
from ops.running.process_group import ProcessGroup, start_group
from ops.running.program import NotReady, Program, Ready
from ops.running.reaper import Reaper
from ops.running.screen import Screen, Tail, last_lines, size_of

_LAST_LINES = 15


class GaveUp(Exception):
    """A program never got ready, however often it was started."""


@dataclass(frozen=True)
class Pace:
    """How patient a keeper is."""

    tries: int = 5  # of the first start
    pause_seconds: float = 1  # before the first restart; twice as long before each further one
    longest_pause_seconds: float = 30
    healthy_seconds: float = 60  # ready for so long, and earlier failures are forgotten
    grace_seconds: float = 10  # from SIGTERM to SIGKILL
    poll_seconds: float = 0.2


class Keeper:
    def __init__(
        self, program: Program, log: Path, *, screen: Screen, pace: Pace, reaper: Reaper
    ) -> None:
        self._program = program
        self._log = log
        self._tail = Tail(log)
        self._began_at = 0  # in the log: what lies before is of earlier starts
        self._screen = screen
        self._pace = pace
        self._reaper = reaper
        self._group: ProcessGroup | None = None
        self._ready_at = 0.0
        self._failures = 0
        self._refused = False  # by the program itself: it need not be started again
        self._missing = ""  # why it is not ready yet
        self._goal = "ready" if program.ready else "done"

    async def start(self) -> None:
        """Returns when the program is ready for the first time, or has run once; or gives up."""
        while trouble := await self._try():
            if self._refused:
                raise GaveUp(self._obituary(f"{trouble}: its settings are wrong"))
            if self._failures + 1 >= self._pace.tries:
                after = f"{trouble}; given up after {self._pace.tries} tries"
                raise GaveUp(self._obituary(after))
            await self._pause(trouble)

    async def keep(self) -> None:
        """Starts the program again whenever it ends. Returns only where it is to run once."""
        while self._group:
            trouble = await self._end(self._group)
            while trouble:
                await self._pause(trouble)
                trouble = await self._try()

    async def stop(self) -> None:
        group, self._group = self._group, None
        if group:
            await group.stop(self._pace.grace_seconds)
        self.show()

    def show(self) -> None:
        """Put on the screen what the program has written since the last time."""
        for line in self._tail.lines():
            self._screen.line(self._program.name, line)

    async def _try(self) -> str:
        """Start the program; empty when it is ready, else why it is not."""
        name, began = self._program.name, time.monotonic()
        self._began_at = size_of(self._log)
        try:
            self._group = await start_group(self._program, self._log, self._reaper)
        except OSError as error:
            return f"cannot be started: {error}"
        self._screen.say(f"{name} is started (pid {self._group.id})")
        with self._screen.waiting(name):
            trouble = await self._trouble(self._group)
        self._refused = self._group.code == BAD_SETTINGS
        if trouble or not self._program.ready:
            await self.stop()
        if not trouble:
            self._ready_at = time.monotonic()
            self._screen.say(f"{name} is {self._goal} after {self._ready_at - began:.1f} s")
        return trouble

    async def _trouble(self, group: ProcessGroup) -> str:
        """Empty once the program is ready, or has run its one time."""
        patience_seconds = self._program.ready_timeout_seconds
        try:
            async with asyncio.timeout(patience_seconds):
                if self._program.ready:
                    return await self._trouble_before_ready(group, self._program.ready)
                code = await group.ended()
                return f"ended with code {code}" if code else ""
        except TimeoutError:
            return f"is not {self._goal} after {patience_seconds:g} s{self._missing}"

    async def _trouble_before_ready(self, group: ProcessGroup, ready: Ready) -> str:
        while group.code is None:
            try:
                await ready()
                return ""
            except NotReady as missing:
                self._missing = f": {missing}"
            await asyncio.sleep(self._pace.poll_seconds)
        return f"ended with code {group.code} before it was ready"

    async def _end(self, group: ProcessGroup) -> str:
        code = await group.ended()
        await self.stop()  # what the leader left behind
        if time.monotonic() - self._ready_at >= self._pace.healthy_seconds:
            self._failures = 0
        return f"ended with code {code}"

    async def _pause(self, trouble: str) -> None:
        seconds = self._pace.pause_seconds * 2**self._failures
        seconds = min(seconds, self._pace.longest_pause_seconds)
        self._failures = min(self._failures + 1, 30)  # 2**30 is pause enough
        self._screen.say(f"{self._program.name} {trouble}; it is started again in {seconds:g} s")
        await asyncio.sleep(seconds)

    def _obituary(self, trouble: str) -> str:
        lines = "\n".join(
            f"    {line}" for line in last_lines(self._log, _LAST_LINES, self._began_at)
        )
        return f"{self._program.name} {trouble}. Its last lines, from {self._log}:\n{lines}"
