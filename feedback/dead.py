"""Dead letters: what nobody can read is kept, with its reason and position. Door."""

from base64 import b64encode
from datetime import UTC, datetime

from feedback.events import BadEvent, DeadLetter, decode, encode
from feedback.log import DEADLETTER, Log, Record, read_all


def put_aside(log: Log, topic: str, record: Record, reason: str) -> None:
    letter = DeadLetter(
        at=datetime.now(UTC),
        topic=topic,
        partition=record.position.partition,
        offset=record.position.offset,
        key=record.key,
        reason=reason,
        raw=b64encode(record.value).decode(),
    )
    log.append(DEADLETTER.name, record.key, encode(letter))


def is_aside(log: Log, topic: str, record: Record) -> bool:
    """Reads all dead letters: for readers that keep no position and meet a record again."""
    return any(
        (letter.topic, letter.partition, letter.offset) == (topic, *record.position)
        for letter in _letters(log)
    )


def _letters(log: Log) -> list[DeadLetter]:
    found = []
    for record in read_all(log, DEADLETTER.name):
        try:
            found.append(decode(record.value, (DeadLetter,)))
        except BadEvent:
            continue  # a dead letter is the end of the road
    return found
