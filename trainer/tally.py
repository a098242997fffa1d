"""What new lessons wait in the examples folder. Opens each file once: cheap to ask often."""

from pathlib import Path

from feedback.examples import Batch, Watermark, batches, rows
from trainer.methods import Method
from trainer.waiting import Seen, count, seen


class Tally:
    """Rough, as a reason to start: a changed verdict counts twice, and what only an earlier thumb
    makes a pair of counts not at all. The round itself is exact.
    """

    def __init__(self, folder: Path, method: Method = "kto") -> None:
        self._folder, self._method = folder, method
        self._seen: dict[Path, list[Seen]] = {}

    def lessons(self, adapter: str, after: Watermark) -> int:
        """Those in this adapter's answers that settled beyond `after`."""
        found = [one for batch in batches(self._folder, after) for one in self._of(batch)]
        return count(self._method, (one for one in found if adapter in one.adapters))

    def _of(self, batch: Batch) -> list[Seen]:
        if batch.path not in self._seen:
            self._seen[batch.path] = [one for row in rows(batch) if (one := seen(row))]
        return self._seen[batch.path]
