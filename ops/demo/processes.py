"""The demo's processes: the model's teacher, `thumbwheel up`, and single commands.

The only file of the demo that starts any. None outlives whoever waits for it.
"""

import asyncio
import signal
import sys
from asyncio.subprocess import STDOUT, Process
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from ops.demo.stage import NAME, PATIENT, PLAN, QUICK, Stage
from ops.running.probes import answers
from ops.running.program import NotReady
from ops.running.screen import last_lines
from ops.settings import inherited_env

TRIES = 3
# A killed `up` leaves its engine to the reaper. Until that has gone its port is held, and another
# `up` ends at once.
PAUSE_SECONDS = 5.0
THUMBWHEEL = str(Path(sys.executable).with_name("thumbwheel"))


class Broken(Exception):
    """A process of the demo ended, and should not have."""


async def teach(model: Path, seed: int) -> None:
    """It shows its own progress. Started again when it ends too soon: somebody may kill it."""
    argv = (sys.executable, "-m", "ops.demo.teach", str(model), "--seed", str(seed))
    for _ in range(TRIES):
        process = await asyncio.create_subprocess_exec(*argv, env={**inherited_env(), **PATIENT})
        if not await _ended(process):
            return
    raise Broken(f"the demo's model could not be made in {TRIES} tries; see above")


async def keep_up(
    stage: Stage,
    say: Callable[[str], None],
    *,
    tries: int = TRIES,
    pause_seconds: float = PAUSE_SECONDS,
) -> None:
    """Runs `thumbwheel up` until cancelled; starts it again when it ends: somebody may kill it."""
    for number in range(tries):
        if number:
            await asyncio.sleep(pause_seconds)
        code = await _up(stage)
        say(f"`thumbwheel up` ended with {code}:\n{_tail(stage.folder / 'up.log')}")
    raise Broken(f"`thumbwheel up` ended {tries} times, and is given up")


async def come_up(stage: Stage) -> None:
    ready = answers(f"{stage.url}/readyz")
    while True:
        try:
            return await ready()
        except NotReady:
            await asyncio.sleep(1)


async def thumbwheel(stage: Stage, *words: str) -> None:
    argv = (THUMBWHEEL, *words, "--home", str(stage.home))
    await run(stage.folder / "by-hand.log", *argv, env=stage.env)


async def run(
    log: Path, *argv: str, env: Mapping[str, str] | None = None, well: Collection[int] = (0,)
) -> None:
    """A command, to its end, which is one of `well`; once more where somebody killed it."""
    for _ in range(TRIES):
        with log.open("ab") as out:
            process = await asyncio.create_subprocess_exec(
                *argv, env={**_clean_env(), **(env or {})}, stdout=out, stderr=STDOUT
            )
            code = await _ended(process)
        if code >= 0:  # it ended by itself
            break
    if code not in well:
        raise Broken(f"{' '.join(argv)} ended with {code}:\n{_tail(log)}")


async def _up(stage: Stage) -> int:
    """The whole loop, as a user starts it, and stopped as with Ctrl-C; its exit code."""
    words = ("up", "--model", str(stage.model), "--name", NAME, "--home", str(stage.home))
    options = ("--port", str(stage.port), "--plan", str(PLAN), "--quiet")
    with (stage.folder / "up.log").open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            *(THUMBWHEEL, *words, *options),
            env={**_clean_env(), **QUICK, **stage.env},
            stdout=out,
            stderr=STDOUT,
            start_new_session=True,  # Ctrl-C is for the demo, which then ends this
        )
        return await _ended(process, signal.SIGINT)


def _clean_env() -> dict[str, str]:
    """Without the user's own settings: the demo has folders of its own."""
    return {k: v for k, v in inherited_env().items() if not k.startswith("THUMBWHEEL_")}


async def _ended(process: Process, end: signal.Signals = signal.SIGTERM) -> int:
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            process.send_signal(end)
            await process.wait()


def _tail(log: Path) -> str:
    return "\n".join(f"    {line}" for line in last_lines(log, 15))
