"""STORY of the guard: read settled examples, ask the rules, put rulings on the log.

The join then gives those verdicts their weight. A crash between any two steps repeats the batch,
and a ruling that comes twice is one.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from feedback import examples
from feedback.events import GUARD, Ruling, encode, group_of
from feedback.examples import Batch, Identity
from feedback.guard import Opinion, Rules, Suspicion, crowded, of_rater
from feedback.log import VERDICTS, Log
from feedback.raters import Raters

_COLUMNS = (
    *("completion_id", "slot", "rater", "user", "adapter", "judged_at", "up", "winner"),
    *("rival_id", "retracted", "ruling"),
)
# Of a step: the join waits meanwhile.
FILES = 50
ROWS = 1000  # and the rest of the file in which they end
TICK_SECONDS = 3.0  # no file system's clock is coarser: FAT counts by two
_log = logging.getLogger("feedback")


class Patrol:
    def __init__(
        self,
        log: Log,
        folder: Path,
        raters: Raters,
        rules: Rules,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._log, self._folder, self._raters, self._rules = log, folder, raters, rules
        self._now, self._clock = now, clock
        self._waiting: list[Batch] = []
        self._changed = 0  # when the folder was, by its own clock
        self._since = 0.0  # when that was seen first
        self._sure = False  # that the folder was listed since

    def step(self) -> int:
        """What has settled since the last step, or its beginning; how many were quarantined."""
        end = self._raters.position()
        if not self._waiting and self._looks_new():
            self._waiting = examples.batches(self._folder, end)
        taken, rows = self._take()
        if not taken:
            return 0
        with self._raters.changing():
            self._note(rows)
            found = self._raters.unruled(self._suspects(rows))
            self._log.append_all([_item(one, self._now()) for one in found])
            for batch in taken:
                end |= {p: max(at, end.get(p, 0)) for p, at in batch.end.items()}
            self._raters.seen(found, end)
        self._waiting = self._waiting[len(taken) :]
        for one in found:
            _log.warning("quarantined: %s of %s: %s", *one.identity[1:], one.reason)
        return len(found)

    @property
    def behind(self) -> bool:
        """Whether it knows of files that it has not read."""
        return bool(self._waiting)

    def _looks_new(self) -> bool:
        """Whether the folder may have other files than when it was last listed."""
        try:
            changed = self._folder.stat().st_mtime_ns
        except FileNotFoundError:
            return False
        if changed != self._changed:
            self._changed, self._since, self._sure = changed, self._clock(), False
        looks_new = not self._sure
        # A file of the same tick leaves no trace: look once more, when no other can be of it.
        self._sure = self._clock() - self._since > TICK_SECONDS
        return looks_new

    def _take(self) -> tuple[list[Batch], list[dict[str, Any]]]:
        taken, rows = list[Batch](), list[dict[str, Any]]()
        for batch in self._waiting[:FILES]:
            if len(rows) >= ROWS:
                break
            with suppress(FileNotFoundError):  # it was too old, and is gone meanwhile
                rows += examples.some(batch, _COLUMNS)
            taken.append(batch)
        return taken, rows

    def _note(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:  # one after the other: the newest of an identity holds
            said = [] if row["retracted"] else [_opinion(row)]
            self._raters.add(
                said,
                [_identity(row)] if row["retracted"] else [],
                [_identity(row)] if row["ruling"] else [],
            )

    def _suspects(self, rows: list[dict[str, Any]]) -> list[Suspicion]:
        """Among all that these raters said, and all that was said of these completions."""
        found, crowd = dict[Identity, Suspicion](), self._raters.crowd()
        for rater in sorted({row["rater"] for row in rows}):
            own = self._raters.of_rater(rater)
            about = self._raters.comparisons(own)
            found |= {one.identity: one for one in of_rater(self._rules, own, about, crowd)}
        for name in sorted({row["completion_id"] for row in rows}):
            said = self._raters.of_completion(name)
            found |= {one.identity: one for one in crowded(self._rules, said)}
        return list(found.values())


def _identity(row: dict[str, Any]) -> Identity:
    return Identity(row["completion_id"], row["slot"], row["rater"])


def _opinion(row: dict[str, Any]) -> Opinion:
    return Opinion(
        identity=_identity(row),
        asker=row["user"],
        adapter=row["adapter"],
        at=row["judged_at"],
        up=row["up"],
        winner=row["winner"],
        rival_id=row["rival_id"],
    )


def _item(found: Suspicion, at: datetime) -> tuple[str, str, bytes]:
    completion_id, slot, rater = found.identity
    ruling = Ruling(
        at=at,
        completion_id=completion_id,
        slot=slot,
        rater=rater,
        weight=0.0,
        reason=found.reason,
        by=GUARD,
    )
    return VERDICTS.name, group_of(completion_id), encode(ruling)
