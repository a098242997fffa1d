"""What new lessons wait in the examples folder. Opens each file once: cheap to ask often."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from feedback.examples import Batch, Watermark, batches, rows
from trainer.methods import Method
from trainer.waiting import Seen, count, seen


def said(
    folder: Path,
    adapter: str,
    after: Watermark,
    until: Watermark | None,
    holdout_percent: float,
) -> list[Seen]:
    """Of this adapter's answers, what settled beyond `after`, and not beyond `until`."""
    found = batches(folder, after, until)
    return of(adapter, (_read(batch, holdout_percent) for batch in found))


def of(adapter: str, read: Iterable[list[Seen]]) -> list[Seen]:
    return [one for one in chain.from_iterable(read) if adapter in one.adapters]


def _read(batch: Batch, holdout_percent: float) -> list[Seen]:
    return [one for row in rows(batch) if (one := seen(row, holdout_percent))]


class Tally:
    """Rough, as a reason to start: a changed verdict counts twice, what only an earlier thumb makes
    a pair of counts not at all. The round itself is exact.
    """

    def __init__(self, folder: Path, method: Method, holdout_percent: float) -> None:
        self._folder, self._method, self._held = folder, method, holdout_percent
        self._seen: dict[Path, list[Seen]] = {}  # of the files that were asked for last
        self._counted: tuple[str, list[Path], int] = ("", [], 0)

    def lessons(self, adapter: str, after: Watermark) -> int:
        """Those to learn from in this adapter's answers that settled beyond `after`."""
        found = batches(self._folder, after)
        paths = [batch.path for batch in found]
        if self._counted[:2] != (adapter, paths):
            self._seen = {batch.path: self._of(batch) for batch in found}
            self._counted = adapter, paths, count(self._method, of(adapter, self._seen.values()))
        return self._counted[2]

    def _of(self, batch: Batch) -> list[Seen]:
        if batch.path in self._seen:
            return self._seen[batch.path]
        return [one for one in _read(batch, self._held) if not one.held]
