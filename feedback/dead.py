"""Dead letters: what nobody can read is kept, with its reason and position. Door."""

from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from feedback.events import BadEvent, DeadLetter, decode, encode
from feedback.log import DEADLETTER, Log, Record, read_all

# In base64, with a key and a reason, it still is a record that the log takes.
RAW_BYTES = 4_000_000
TEXT = 10_000


class Bad(NamedTuple):
    record: Record
    reason: str


def put_aside(log: Log, topic: str, found: Iterable[Bad]) -> None:
    letters = [_letter(topic, record, reason) for record, reason in found]
    log.append_all([(DEADLETTER.name, one.key, encode(one)) for one in letters])


def _letter(topic: str, record: Record, reason: str) -> DeadLetter:
    if len(record.value) > RAW_BYTES:
        cut = f"raw is its first {RAW_BYTES:,} bytes of {len(record.value):,}"
        reason = f"{cut}; {reason}"
    return DeadLetter(
        at=datetime.now(UTC),
        topic=topic,
        partition=record.position.partition,
        offset=record.position.offset,
        key=record.key[:TEXT],
        reason=reason[:TEXT],
        raw=b64encode(record.value[:RAW_BYTES]).decode(),
    )


class Aside:
    """For a reader that keeps no position, and meets what it cannot read after every start."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._known: set[tuple[str, int, int]] | None = None

    def put(self, topic: str, found: list[Bad]) -> list[Bad]:
        """Those of them that were not aside yet."""
        if self._known is None:
            self._known = {(one.topic, one.partition, one.offset) for one in _letters(self._log)}
        new = [bad for bad in found if (topic, *bad.record.position) not in self._known]
        if new:
            put_aside(self._log, topic, new)
            self._known |= {(topic, *bad.record.position) for bad in new}
        return new


def _letters(log: Log) -> Iterator[DeadLetter]:
    for record in read_all(log, DEADLETTER.name):
        with suppress(BadEvent):  # a dead letter is the end of the road
            yield decode(record.value, (DeadLetter,))
