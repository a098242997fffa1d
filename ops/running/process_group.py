"""One program's process and all that it starts, as one. The only file that starts programs.

Knows nothing of why a program runs or when it should run again.
"""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import IO

from ops.running.program import Program
from ops.running.reaper import Reaper

_VANISH_SECONDS = 5  # after SIGKILL; memory has to be given back first


class ProcessGroup:
    """Made by `start`. The leader's process id is the group's."""

    def __init__(self, leader: asyncio.subprocess.Process, reaper: Reaper) -> None:
        self._leader = leader
        self._reaper = reaper
        reaper.watch(self.id)

    @property
    def id(self) -> int:
        return self._leader.pid

    @property
    def code(self) -> int | None:
        """The leader's exit code, None while it runs."""
        return self._leader.returncode

    async def ended(self) -> int:
        """The leader's exit code, once it has ended; minus N where signal N ended it."""
        return await self._leader.wait()

    async def stop(self, grace_seconds: float) -> None:
        """SIGTERM to the leader, who ends its children in order; then SIGKILL to what is left."""
        try:
            with suppress(ProcessLookupError):
                self._leader.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._leader.wait(), grace_seconds)
        finally:  # the grace may be cut short
            self._kill()
            await self._vanished()
            self._reaper.forget(self.id)

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.id, signal.SIGKILL)

    async def _vanished(self) -> None:
        """Ports and memory of a killed process are held until it has really gone."""
        await self._leader.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(_VANISH_SECONDS):
                while _lives(self.id):  # noqa: ASYNC110  # nobody tells when a group is empty
                    await asyncio.sleep(0.02)


async def start_group(program: Program, log: Path, reaper: Reaper) -> ProcessGroup:
    """What it writes goes straight into the file: nobody has to read for it to go on."""
    with _appending(log) as output:
        leader = await asyncio.create_subprocess_exec(
            *program.argv,
            env=dict(program.env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    group = ProcessGroup(leader, reaper)
    if program.nice:
        with suppress(ProcessLookupError):  # it has ended already
            os.setpriority(os.PRIO_PGRP, group.id, program.nice)
    return group


def _appending(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("ab")


def _lives(group: int) -> bool:
    # Zombies hold nothing, and in a container there may be nobody to reap them: killpg(group, 0)
    # would find them for ever.
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has gone meanwhile
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                return True
    return False
