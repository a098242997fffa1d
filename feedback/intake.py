"""The records of one partition as events; what cannot be read goes to the dead letters.

Where more lies behind a batch it is read meanwhile, by another thread: while a batch is stored,
SQLite and Arrow leave Python to others.
"""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
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


class _Read(NamedTuple):
    """A batch before it is known how much of it is not too much."""

    served: list[Served]
    said: list[Said]
    bad: dict[str, list[Bad]]
    judged: list[Record]
    end: Watermark
    left: dict[str, int]  # of each topic, behind the end
    full: bool


class AnotherLog(ValueError):
    """More was read than this log ever had."""


class Intake:
    """`reads`: one thread, which does not end before the log is closed."""

    def __init__(self, log: Log, partition: int, metrics: Metrics, reads: Executor) -> None:
        self.partition = partition
        self._log, self._metrics, self._reads = log, metrics, reads
        self._ahead: tuple[Watermark, int, Future[_Read]] | None = None
        self.places = [f"{topic}/{partition}" for topic in TOPICS]

    def take(
        self, start: Watermark, limit: int, until: Watermark | None, fitting: Fitting = len
    ) -> Taken:
        """From `start` on, at most `limit` of each topic; or up to `until`, where that is known."""
        read = self._read_on(start, limit) if until is None else self._read_up_to(start, until)
        fit = fitting([record.key for record in read.judged])
        if fit < len(read.judged):
            read = self._cut(read, _end(read.judged[:fit]) or 0)
        for topic, bad in read.bad.items():
            self._put_aside(topic, bad)
        for topic, left in read.left.items():
            self._metrics.behind(topic, self.partition, left)
        if read.full and until is None:
            self._ahead = read.end, limit, self._reads.submit(self._next_batch, read.end, limit)
        return Taken(read.served, read.said, read.end, read.full)

    def _read_on(self, start: Watermark, limit: int) -> _Read:
        ahead, self._ahead = self._ahead, None
        if ahead and ahead[:2] == (start, limit):
            return ahead[2].result()
        return self._reads.submit(self._next_batch, start, limit).result()

    def forgets(self, start: int) -> tuple[list[Forget], int]:
        """All users who want to be forgotten, from `start` on, and where more would follow."""
        found = list[Forget]()
        while records := self._log.read(FORGETS.name, 0, start):
            some, bad = _as_events(records, _forget)
            found += some
            if self.partition == 0:  # every partition's worker reads them
                self._put_aside(FORGETS.name, bad)
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

    def _next_batch(self, start: Watermark, limit: int) -> _Read:
        served, judged = (
            self._next(topic, start[place], limit)
            for topic, place in zip(TOPICS, self.places, strict=True)
        )
        ends = dict(zip(self.places, map(_end, (served, judged)), strict=True))
        full = _is_full(served, limit) or _is_full(judged, limit)
        end = {place: ends[place] or start[place] for place in ends}
        return _read(served, judged, end, full)._replace(left=self._left(ends))

    def _read_up_to(self, start: Watermark, end: Watermark) -> _Read:
        served, judged = (
            list(self._up_to(topic, start[place], end[place]))
            for topic, place in zip(TOPICS, self.places, strict=True)
        )
        return _read(served, judged, end, True)

    def _cut(self, read: _Read, end: int) -> _Read:
        """Without the verdicts from `end` on."""
        said = [one for one in read.said if one.position.offset < end]
        bad = [one for one in read.bad["verdicts"] if one.record.position.offset < end]
        reached = read.end | {self.places[1]: end}
        return read._replace(said=said, bad=read.bad | {"verdicts": bad}, end=reached, full=True)

    def _next(self, topic: str, start: int, limit: int) -> list[Record]:
        records = self._log.read(topic, self.partition, start, limit)
        if records:
            self._missed(topic, records[0].position.offset - start)
        return records

    def _left(self, ends: dict[str, int | None]) -> dict[str, int]:
        return {
            topic: self._log.end(topic)[self.partition] - end
            for topic, end in zip(TOPICS, ends.values(), strict=True)
            if end
        }

    def _up_to(self, topic: str, start: int, end: int) -> Iterator[Record]:
        while start < end:
            records = self._log.read(topic, self.partition, start, end - start)
            yield from (record for record in records if record.position.offset < end)
            start = _end(records) or end  # retention may have taken the rest

    def _missed(self, topic: str, records: int) -> None:
        if records:
            _log.error("%d records of %s were removed before they were read", records, topic)
            self._metrics.missed(topic, records)

    def _put_aside(self, topic: str, bad: list[Bad]) -> None:
        if bad:
            put_aside(self._log, topic, bad)
            self._metrics.put_aside(topic, len(bad))


def _read(served: list[Record], judged: list[Record], end: Watermark, full: bool) -> _Read:
    answers, unread = _as_events(served, _served)
    words, unheard = _as_events(judged, _said)
    bad = {"completions": unread, "verdicts": unheard}
    return _Read(answers, words, bad, judged, end, {}, full)


def _as_events(records: list[Record], how: Callable[[Record], T]) -> tuple[list[T], list[Bad]]:
    found, bad = list[T](), list[Bad]()
    for record in records:
        try:
            found.append(how(record))
        except BadEvent as error:
            bad.append(Bad(record, str(error)))
    return found, bad


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
