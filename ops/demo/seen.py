"""What lies in the demo's home: a running count while it goes on, and all of it at the end."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from feedback import examples
from feedback.events import BadEvent, Completion, E, Thumb, decode
from feedback.log import COMPLETIONS, VERDICTS, Log, read_all
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
        self._offsets: dict[tuple[str, int], int] = {}
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
        for partition, end in self._log.end(topic).items():
            place = topic, partition
            while (start := self._offsets.get(place, 0)) < end:
                records = self._log.read(topic, partition, start)
                yield from _decoded(records, kind)
                self._offsets[place] = records[-1].position.offset + 1 if records else end


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
    for record in records:
        try:
            yield decode(record.value, (kind,))
        except BadEvent:
            continue  # it is among the dead letters
