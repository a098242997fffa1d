"""How far a round is: bars where somebody watches, lines at the ends of each step elsewhere."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, TaskID

_log = logging.getLogger("trainer")


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A function that is told the step, how far it is, and of how much."""
    if not sys.stderr.isatty():
        yield Lines().tell
        return
    with Progress(console=Console(stderr=True)) as bars:
        yield Bars(bars).tell


class Bars:
    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def tell(self, step: str, done: int, of: int) -> None:
        if step not in self._tasks:
            self._tasks[step] = self._bars.add_task(step, total=of)
        self._bars.update(self._tasks[step], completed=done)


class Lines:
    def __init__(self) -> None:
        self._began: dict[str, float] = {}

    def tell(self, step: str, done: int, of: int) -> None:
        if step not in self._began:
            self._began[step] = time.monotonic()
            _log.info("%s: begins", step)
        if done == of:
            _log.info("%s: done in %.1f s", step, time.monotonic() - self._began[step])
