"""The topics of the log, and what lies on them. Pure. Knows no backend."""

from dataclasses import dataclass
from typing import NamedTuple

# Of one record. Larger ones hold up the others, and brokers refuse them.
MAX_RECORD_BYTES = 8_000_000
# Of what one read returns, but for its last record.
READ_BYTES = 32_000_000


@dataclass(frozen=True)
class Topic:
    """`partitioned`: by key, for many workers. `kept`: for ever, as all of it is read again."""

    name: str
    partitioned: bool = False
    kept: bool = False


COMPLETIONS = Topic("completions", partitioned=True)
VERDICTS = Topic("verdicts", partitioned=True)
SPLIT = Topic("split", kept=True)
ROLLOUTS = Topic("rollouts", kept=True)
FORGETS = Topic("forgets", kept=True)
RELEASES = Topic("releases", kept=True)
DECISIONS = Topic("decisions")
LEASE = Topic("lease")
SCORES = Topic("scores")
DEADLETTER = Topic("deadletter")
_ALL = (
    *(COMPLETIONS, VERDICTS, FORGETS),
    *(SPLIT, ROLLOUTS, RELEASES, DECISIONS, LEASE, SCORES),
    DEADLETTER,
)
TOPICS = {t.name: t for t in _ALL}


class Position(NamedTuple):
    partition: int
    offset: int


class Record(NamedTuple):
    position: Position
    key: str
    value: bytes


class LogAway(Exception):
    """The log cannot be reached, or cannot store, at the moment."""


class RecordTooLarge(ValueError):
    """No log takes this record, today or later."""

    def __init__(self, topic: str, size: int) -> None:
        expected = f"expected at most {MAX_RECORD_BYTES:,}"
        super().__init__(f"a record of {topic} has {size:,} bytes; {expected}")


def checked(topic: str, value: bytes = b"") -> str:
    """The topic, where there is such a one and it can take this record."""
    if topic not in TOPICS:
        raise ValueError(f"topic is {topic!r}; expected one of {', '.join(TOPICS)}")
    if len(value) > MAX_RECORD_BYTES:
        raise RecordTooLarge(topic, len(value))
    return topic
