"""What lies in the demo's home: a running count while it goes on, and all of it at the end."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from feedback import examples
from feedback.events import Completion, E, Thumb
from feedback.log import COMPLETIONS, VERDICTS, Log, read_all, read_on
from feedback.log import Record as LogRecord
from ops import history
from ops.demo.diary import read_diary
from ops.demo.findings import Judged, Record, judged
from ops.evidence import Thumbs
from trainer.adapters import published


class Count:
    """Answers and thumbs per adapter so far. Reads each record once."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._offsets: dict[str, dict[int, int]] = defaultdict(dict)
        self._answers: dict[str, Judged] = {}
        self._up: dict[str, bool] = {}  # completion to thumb; it may come before its completion

    def look(self) -> None:
        self._answers |= {
            a.completion_id: a for a in judged(self._new(COMPLETIONS.name, Completion))
        }
        self._up |= {t.completion_id: t.up for t in self._new(VERDICTS.name, Thumb)}

    @property
    def adapters(self) -> set[str]:
        return {answer.adapter for answer in self._answers.values()}

    def thumbs(self, adapter: str) -> Thumbs:
        said = [
            self._up[answer.completion_id]
            for answer in self._of(adapter)
            if answer.completion_id in self._up
        ]
        return Thumbs(sum(said), len(said))

    def liked(self, adapter: str) -> Thumbs:
        """By the hidden taste, of every answer."""
        liked = [answer.facts.liked for answer in self._of(adapter)]
        return Thumbs(sum(liked), len(liked))

    def _of(self, adapter: str) -> list[Judged]:
        return [answer for answer in self._answers.values() if answer.adapter == adapter]

    def _new(self, topic: str, kind: type[E]) -> Iterator[E]:
        return _decoded(read_on(self._log, topic, self._offsets[topic]), kind)


def read_record(log: Log, home: Path, diary: Path, sabotaged: str | None) -> Record:
    return Record(
        completions=list(_decoded(read_all(log, COMPLETIONS.name), Completion)),
        examples=examples.read(home / "examples").examples,
        manifests=published(home / "adapters"),
        splits=history.splits(log),
        moves=history.moves(log),
        accepted=read_diary(diary),
        sabotaged=sabotaged,
    )


def settled(home: Path, diary: Path) -> bool:
    """Whether every verdict that was accepted has become an example."""
    known = {row.completion_id for row in examples.read(home / "examples").examples}
    return known.issuperset(verdict.completion_id for verdict in read_diary(diary))


def _decoded(records: Iterable[LogRecord], kind: type[E]) -> Iterator[E]:
    return (event for _, event in history.readable(records, (kind,)))
