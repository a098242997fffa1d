"""Runs programs together: starts them in order, keeps them, stops all in reverse order.

Knows nothing of what the programs do.
"""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from pathlib import Path

from ops.running.keeper import Keeper, Pace
from ops.running.program import Program
from ops.running.reaper import Reaper
from ops.running.screen import Screen

_SHOW_SECONDS = 0.1
_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def supervise(
    programs: Iterable[Program],
    logs: Path,
    *,
    screen: Screen,
    pace: Pace | None = None,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Runs until it is cancelled, and stops all then. GaveUp where one never gets ready."""
    async with AsyncExitStack() as running:  # it is left in reverse order
        reaper = Reaper()
        running.callback(reaper.close)
        tasks = []
        for program in programs:
            log = logs / f"{program.name}.log"
            keeper = Keeper(program, log, screen=screen, pace=pace or Pace(), reaper=reaper)
            running.push_async_callback(keeper.stop)
            tasks.append(_beside(_show(keeper), running))
            await keeper.start()
            tasks.append(_beside(keeper.keep(), running))
        on_ready()
        await asyncio.gather(*tasks)


async def until_told(work: Coroutine[None, None, None], told: Callable[[], None]) -> None:
    """Ends the work, and returns, on Ctrl-C, SIGTERM or a closed terminal; `told` is called then.

    A second signal cuts short what the first one made it wait for.
    """
    task = asyncio.ensure_future(work)
    signals: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        signals.append(number)
        told()
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in _ENDINGS:
        loop.add_signal_handler(number, end, number)
    try:
        await task
    except asyncio.CancelledError:
        if not signals:
            raise
    finally:
        for number in _ENDINGS:
            loop.remove_signal_handler(number)


def _beside(work: Coroutine[None, None, None], running: AsyncExitStack) -> asyncio.Task[None]:
    task = asyncio.create_task(work)
    running.push_async_callback(_cancel, task)
    return task


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait((task,))


async def _show(keeper: Keeper) -> None:
    while True:
        keeper.show()
        await asyncio.sleep(_SHOW_SECONDS)
