"""The story of the feedback room: read a batch, join it, append examples, remember the position.

A crash between any two steps repeats the batch from the same position, and the same positions give
the same file: nothing is skipped, nothing counts twice.
"""

from collections import defaultdict
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from feedback import examples
from feedback.events import group_of
from feedback.examples import Batch, Example, Watermark
from feedback.intake import Intake
from feedback.join import Group, Join, Said, Served, late, repeats
from feedback.log import FORGETS
from feedback.metrics import Metrics
from feedback.window import Window

BATCH = 2000  # records of each topic; more were no faster
_FORGETS = f"{FORGETS.name}/0"


class Worker:
    """Of one partition. `span`: a verdict that comes later after its completion does not count."""

    def __init__(
        self, intake: Intake, window: Window, folder: Path, metrics: Metrics, *, span: timedelta
    ) -> None:
        self._intake, self._window, self._folder, self._metrics = intake, window, folder, metrics
        self._join = Join(span)
        self.full = False  # more may lie behind the last batch
        self._alone = False  # it is sure that no file of examples reaches beyond the position

    def step(self, limit: int = BATCH) -> int:
        """One batch; how many records it took in."""
        self._forget()
        start = self._window.position(self._intake.places)
        until, again = self._until(start, limit)
        fitting = len if again else self._window.fitting
        served, said, end, self.full = self._intake.take(start, limit, until, fitting)
        if end == start:
            return 0
        served = [one for one in served if one.answer.user not in self._window.forgotten]
        said = [one for one in said if one.user not in self._window.forgotten]
        rows = self._rows(served, said)
        self._alone = False
        if rows:
            examples.append(self._folder, start, end, rows)
        gone = self._window.commit(served, said, end)
        self._alone = until is None
        self._metrics.took(start, end, rows)
        self._metrics.kept(
            self._intake.partition, self._window.counts(), self._window.bytes(), gone
        )
        return sum(end.values()) - sum(start.values())

    def _until(self, start: Watermark, limit: int) -> tuple[Watermark | None, bool]:
        """Where this batch ended before, if its position was lost after a file was written.

        A power cut may have taken several positions. What lies before the first file that is left
        settled nothing, or is gone since: a batch of it ends where that file begins, or before.
        The flag tells whether this is a batch again, exactly.
        """
        if self._alone:
            return None, False
        self._intake.check(start)
        examples.clear(self._folder, self._intake.partition)
        for batch in self._files(start):
            began = examples.start(batch)
            nearer = {place: min(end, start[place] + limit) for place, end in began.items()}
            return (batch.end, True) if began == start else (nearer, False)
        self._alone = True
        return None, False

    def _files(self, after: Watermark | None = None) -> list[Batch]:
        mine = set(self._intake.places)
        return [b for b in examples.batches(self._folder, after) if b.end.keys() == mine]

    def _forget(self) -> None:
        """What these asked and said leaves the examples; nothing of theirs comes again."""
        start = self._window.position([_FORGETS])[_FORGETS]
        found, end = self._intake.forgets(start)
        if end > start:
            users = {event.user for event in found}
            for batch in self._files():
                with suppress(FileNotFoundError):  # it was too old, and went
                    self._metrics.forgot(examples.without(batch, users))
            self._window.forget(users, {_FORGETS: end})

    def _rows(self, served: list[Served], said: list[Said]) -> list[Example]:
        """What these settle, request by request, in the order in which they are first named."""
        new: dict[str, tuple[list[Served], list[Said]]] = defaultdict(lambda: ([], []))
        for one in served:
            new[group_of(one.answer.id)][0].append(one)
        for word in said:
            new[group_of(word.verdict.completion_id)][1].append(word)
        known = self._window.groups({name for name in new if new[name][1]}, {*new})
        return [row for name in new if name in known for row in self._news(known[name], *new[name])]

    def _news(self, known: Group, served: list[Served], said: list[Said]) -> list[Example]:
        before = known.without(self._window.forgotten)
        after = before.add(served, said)
        self._metrics.passed_over(late(self._join, after, said), repeats(before, said))
        return self._join.news(before, after)
