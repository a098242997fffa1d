"""What one process of the room does at each turn: its partitions, the guard if it is its turn, and
files that are too old. Several processes share all that by locks in one folder.
"""

import logging
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import timedelta
from time import monotonic
from typing import Protocol, TypeVar

from feedback import examples
from feedback.intake import Intake
from feedback.log import VERDICTS, Log
from feedback.metrics import Metrics
from feedback.patrol import Patrol
from feedback.raters import Raters
from feedback.settings import Settings
from feedback.shares import Shares
from feedback.window import Window
from feedback.worker import Worker

SWEEP_SECONDS = 600.0
_log = logging.getLogger("feedback")


class _Closes(Protocol):
    def close(self) -> None: ...


_Part = TypeVar("_Part", bound=_Closes)


class Crew:
    def __init__(
        self,
        settings: Settings,
        log: Log,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._settings, self._log, self._metrics = settings, log, metrics
        self._span = timedelta(days=settings.feedback_window_days)
        self._opened = ExitStack()
        folder, workers = settings.feedback_window, settings.feedback_workers
        partitions = log.partitions(VERDICTS.name)
        shares = Shares(folder, partitions=partitions, workers=workers, clock=clock)
        self._shares = self._keep(shares)
        self._guards = self._keep(Shares(folder / "guard", partitions=1, workers=1))
        self._workers: dict[int, Worker] = {}
        self._windows: dict[int, Window] = {}
        self._patrol: Patrol | None = None
        self._swept = monotonic() - SWEEP_SECONDS

    def turn(self) -> bool:
        """Whether there is more to do at once."""
        self._share()
        for worker in self._workers.values():
            worker.step()
        behind = self._guard()
        self._sweep()
        return behind or any(worker.full for worker in self._workers.values())

    def close(self) -> None:
        for window in self._windows.values():
            window.close()
        self._opened.close()

    def _share(self) -> None:
        mine = set(self._shares.mine())
        for partition in self._workers.keys() - mine:
            del self._workers[partition]
            self._windows.pop(partition).close()
            self._shares.let_go(partition)
            self._metrics.gone(partition)
            _log.info("partition %d is another worker's", partition)
        for partition in mine - self._workers.keys():
            self._workers[partition] = self._worker(partition)
            _log.info("partition %d is this worker's", partition)

    def _guard(self) -> bool:
        """Whether it is behind."""
        if self._patrol is None and self._guards.mine():
            raters = Raters(self._settings.feedback_window / "raters.db", span=self._span)
            folder, rules = self._settings.examples, self._settings.feedback_guard
            self._patrol = Patrol(self._log, folder, self._keep(raters), rules)
        if self._patrol:
            self._patrol.step()
        return self._patrol is not None and self._patrol.behind

    def _sweep(self) -> None:
        days = self._settings.feedback_examples_days
        if days and monotonic() - self._swept >= SWEEP_SECONDS:
            examples.expire(self._settings.examples, days)
            self._swept = monotonic()

    def _worker(self, partition: int) -> Worker:
        path = self._settings.feedback_window / f"{partition:04d}.db"
        size = self._settings.feedback_window_max_bytes
        window = Window(path, span=self._span, max_bytes=size)
        self._windows[partition] = window
        intake = Intake(self._log, partition, self._metrics)
        folder = self._settings.examples
        return Worker(intake, window, folder, self._metrics, span=self._span)

    def _keep(self, part: _Part) -> _Part:
        self._opened.enter_context(closing(part))
        return part
