"""The records of one partition as events; what cannot be read goes to the dead letters."""

import logging
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from feedback.answers import read_answer
from feedback.dead import Bad, put_aside
from feedback.events import BadEvent, Forget, decode
from feedback.examples import Watermark
from feedback.join import Said, Served
from feedback.log import FORGETS, READ_BYTES, Log, Record
from feedback.metrics import Metrics
from feedback.words import read_word

# How many of the verdicts on these requests, from the first on, are not too much at once.
Fitting = Callable[[list[str]], int]
TOPICS = ("completions", "verdicts")
T = TypeVar("T")
_log = logging.getLogger("feedback")


class Taken(NamedTuple):
    served: list[Served]
    said: list[Said]
    end: Watermark
    full: bool  # more may lie behind it


class AnotherLog(ValueError):
    """More was read than this log ever had."""


class Intake:
    def __init__(self, log: Log, partition: int, metrics: Metrics) -> None:
        self.partition = partition
        self._log, self._metrics = log, metrics
        self.places = [f"{topic}/{partition}" for topic in TOPICS]

    def take(
        self, start: Watermark, limit: int, until: Watermark | None, fitting: Fitting = len
    ) -> Taken:
        """From `start` on, at most `limit` of each topic; or up to `until`, where that is known."""
        completions, verdicts = self.places
        if until:
            served = list(self._up_to("completions", start[completions], until[completions]))
            judged = list(self._up_to("verdicts", start[verdicts], until[verdicts]))
            said = judged[: fitting([record.key for record in judged])]
            cut = {verdicts: _end(said) or 0} if len(said) < len(judged) else {}
            return self._taken(served, said, until | cut, full=True)
        served = self._next("completions", start[completions], limit)
        judged = self._next("verdicts", start[verdicts], limit)
        said = judged[: fitting([record.key for record in judged])]
        ends = {completions: _end(served), verdicts: _end(said)}
        self._behind(ends)
        full = _is_full(served, limit) or _is_full(judged, limit) or len(said) < len(judged)
        return self._taken(served, said, {p: ends[p] or start[p] for p in self.places}, full=full)

    def forgets(self, start: int) -> tuple[list[Forget], int]:
        """All users who want to be forgotten, from `start` on, and where more would follow."""
        found = list[Forget]()
        while records := self._log.read(FORGETS.name, 0, start):
            # Every partition's worker reads them; one puts aside what cannot be read.
            found += self._read(FORGETS.name, records, _forget, aside=self.partition == 0)
            start = records[-1].position.offset + 1
        return found, start

    def check(self, start: Watermark) -> None:
        """A window of another log, or a log that was deleted, would wait for ever."""
        for topic, place in zip(TOPICS, self.places, strict=True):
            end = self._log.end(topic)[self.partition]
            if start[place] > end:
                raise AnotherLog(
                    f"{place} was read up to {start[place]} and ends at {end}; expected the log "
                    "that feedback_window and examples were made from"
                )

    def _taken(
        self, served: list[Record], said: list[Record], end: Watermark, *, full: bool
    ) -> Taken:
        answers = self._read("completions", served, _served)
        words = self._read("verdicts", said, _said)
        return Taken(answers, words, end, full)

    def _next(self, topic: str, start: int, limit: int) -> list[Record]:
        records = self._log.read(topic, self.partition, start, limit)
        if records:
            self._missed(topic, records[0].position.offset - start)
        return records

    def _behind(self, ends: dict[str, int | None]) -> None:
        for place, end in ends.items():
            topic = place.partition("/")[0]
            if end:
                left = self._log.end(topic)[self.partition] - end
                self._metrics.behind(topic, self.partition, left)

    def _up_to(self, topic: str, start: int, end: int) -> Iterator[Record]:
        while start < end:
            records = self._log.read(topic, self.partition, start, end - start)
            yield from (record for record in records if record.position.offset < end)
            start = _end(records) or end  # retention may have taken the rest

    def _missed(self, topic: str, records: int) -> None:
        if records:
            _log.error("%d records of %s were removed before they were read", records, topic)
            self._metrics.missed(topic, records)

    def _read(
        self, topic: str, records: list[Record], how: Callable[[Record], T], *, aside: bool = True
    ) -> list[T]:
        found, bad = list[T](), list[Bad]()
        for record in records:
            try:
                found.append(how(record))
            except BadEvent as error:
                bad.append(Bad(record, str(error)))
        if bad and aside:
            put_aside(self._log, topic, bad)
            self._metrics.put_aside(topic, len(bad))
        return found


def _served(record: Record) -> Served:
    return Served(read_answer(record.value), record.value)


def _said(record: Record) -> Said:
    return Said(read_word(record.value), record.position, record.value)


def _forget(record: Record) -> Forget:
    return decode(record.value, (Forget,))


def _is_full(records: list[Record], limit: int) -> bool:
    """A read ends at so many records, or so many bytes."""
    return len(records) >= limit or sum(len(record.value) for record in records) > READ_BYTES


def _end(records: list[Record]) -> int | None:
    return records[-1].position.offset + 1 if records else None
