"""How many new thumbs wait in the examples folder. Opens each file once: cheap to ask often."""

from collections import Counter
from pathlib import Path

from feedback.examples import Batch, Watermark, batches, rows


class Tally:
    """Rough, as a reason to start: a changed verdict counts twice. The round itself is exact."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thumbs: dict[Path, Counter[str]] = {}

    def thumbs(self, adapter: str, after: Watermark) -> int:
        """Those on this adapter's answers that settled beyond `after`."""
        return sum(self._by_adapter(batch)[adapter] for batch in batches(self._folder, after))

    def _by_adapter(self, batch: Batch) -> Counter[str]:
        if batch.path not in self._thumbs:
            thumbs = (row for row in rows(batch) if row.slot == "thumb" and row.weight > 0)
            self._thumbs[batch.path] = Counter(
                row.adapter for row in thumbs if not row.retracted and row.answer_ids
            )
        return self._thumbs[batch.path]
