"""How far a round is: bars and curves where somebody watches, lines elsewhere."""

import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import fmean
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import Progress, TaskID
from rich.table import Table
from rich.text import Text

from trainer.forecast import Forecast
from trainer.sparkline import BLOCKS, PLAIN, sparkline
from trainer.watched import SHOWN

_log = logging.getLogger("trainer")


class Screen(Protocol):
    def tell(self, step: str, done: int, of: int) -> None: ...
    def note(self, values: Mapping[str, float]) -> None: ...


@contextmanager
def progress(forecast: Forecast) -> Iterator[Screen]:
    if not sys.stderr.isatty():
        yield Lines(forecast)
        return
    panel = Panel(Console(stderr=True), forecast)
    with panel.live, _logged_above():
        yield panel


class Panel:
    def __init__(self, console: Console, forecast: Forecast) -> None:
        self._console, self._forecast = console, forecast
        self._bars = Progress(console=console)
        self._tasks: dict[str, TaskID] = {}
        self._curves: dict[str, list[float]] = {}
        self.live = Live(console=console, get_renderable=self._all)

    def tell(self, step: str, done: int, of: int) -> None:
        if step not in self._tasks:
            self._tasks[step] = self._bars.add_task(step, total=of)
        self._bars.update(self._tasks[step], completed=done)

    def note(self, values: Mapping[str, float]) -> None:
        for name in SHOWN.keys() & values.keys():
            self._curves.setdefault(name, []).append(values[name])

    def _all(self) -> RenderableType:
        left = self._forecast.left(time.monotonic())
        whole = Text(f"the whole round: {left}", style="bold")
        return Group(self._bars, self._drawn(), whole)

    def _drawn(self) -> Table:
        ramp = BLOCKS if self._console.encoding.startswith("utf") else PLAIN
        table = Table.grid(padding=(0, 1))
        for name, title in SHOWN.items():
            if values := list(self._curves.get(name, ())):
                line = sparkline(values, max(self._console.width - 32, 8), ramp)
                table.add_row(title, f"{values[-1]:8.3f}", Text(line, style="cyan"))
        return table


class Lines:
    def __init__(self, forecast: Forecast) -> None:
        self._forecast = forecast
        self._began: dict[str, float] = {}
        self._step = self._learned = ""
        self._losses: list[float] = []

    def tell(self, step: str, done: int, of: int) -> None:
        self._step = step
        if step not in self._began:
            self._began[step] = time.monotonic()
            _log.info("%s: begins", step)
        if done == of:
            _log.info("%s: done in %.1f s", step, time.monotonic() - self._began[step])

    def note(self, values: Mapping[str, float]) -> None:
        if "loss" in values:
            self._learned = self._step
            self._losses.append(values["loss"])
        elif "kl_parent" in values:
            self._tell_epoch(values["kl_parent"])

    def _tell_epoch(self, kl: float) -> None:
        loss = f"{fmean(self._losses):.3f}" if self._losses else "unknown"
        left = self._forecast.left(time.monotonic())
        _log.info("%s: loss %s, KL to the parent %.2f nats; %s", self._learned, loss, kl, left)
        self._losses.clear()


@contextmanager
def _logged_above() -> Iterator[None]:
    """What is logged meanwhile goes through the screen, not across it."""
    streams = {
        handler: handler.stream
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.__stderr__
    }
    for handler in streams:
        handler.setStream(sys.stderr)
    try:
        yield
    finally:
        for handler, stream in streams.items():
            handler.setStream(stream)
