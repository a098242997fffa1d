"""The log: topics of records that are only ever appended. Door. Knows nothing of what they say.

Durable when `append` returns; read by position, from anywhere, any number of times. Readers keep
their positions with their own results, so that nothing is repeated or skipped when they die.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from feedback.topics import (
    COMPLETIONS,
    DEADLETTER,
    DECISIONS,
    FORGETS,
    LEASE,
    MAX_RECORD_BYTES,
    READ_BYTES,
    RELEASES,
    ROLLOUTS,
    SCORES,
    SPLIT,
    TOPICS,
    VERDICTS,
    LogAway,
    Position,
    Record,
    RecordTooLarge,
    Topic,
)

__all__ = [
    "COMPLETIONS",
    "DEADLETTER",
    "DECISIONS",
    "FORGETS",
    "LEASE",
    "MAX_RECORD_BYTES",
    "READ_BYTES",
    "RELEASES",
    "ROLLOUTS",
    "SCORES",
    "SPLIT",
    "TOPICS",
    "VERDICTS",
    "Log",
    "LogAway",
    "Position",
    "Record",
    "RecordTooLarge",
    "Topic",
    "follow",
    "open_log",
    "read_all",
    "read_on",
]

WAIT_SECONDS = 0.05  # for more, at one time: who follows looks around so often


class Log(Protocol):
    def append(self, topic: str, key: str, value: bytes) -> Position:
        """Durable when it returns; raises LogAway where it cannot be."""

    def append_all(self, items: list[tuple[str, str, bytes]]) -> list[Position]:
        """Several (topic, key, value), in order, for the price of one.

        Some may be on the log, and come again, when this raises.
        """

    def read(self, topic: str, partition: int, start: int, limit: int = 1000) -> list[Record]:
        """What lies at `start` and after it: at most `limit` records, none only at the end."""

    def wait(self, topic: str, partition: int, start: int, seconds: float) -> bool:
        """Is there anything at `start` or after it? Waits so long for it. May not tell of LogAway.

        Where it returned True, read: there may be nothing yet all the same.
        """

    def end(self, topic: str) -> dict[int, int]:
        """For each partition the offset that the next record will get."""

    def partitions(self, topic: str) -> int:
        """One key is always in one partition; two topics with as many have it in the same one."""

    def close(self) -> None: ...


def open_log(url: str) -> Log:
    """`sqlite:///path.db` (relative; four slashes: absolute), or `kafka://HOST:PORT,HOST:PORT`.

    What may follow after a question mark is told in docs/formats.md.
    """
    # A backend is loaded only where it is used.
    if url.startswith("kafka://"):
        from feedback.kafka_url import read_url
        from feedback.log_kafka import KafkaLog

        return KafkaLog(read_url(url))
    from feedback.log_sqlite import SqliteLog

    return SqliteLog(*_read_sqlite_url(url))


def _read_sqlite_url(url: str) -> tuple[Path, float | None]:
    place, _, more = url.partition("?")
    path = place.removeprefix("sqlite:///")
    days = re.fullmatch(r"retention_days=([0-9]+(?:\.[0-9]+)?)", more)
    if path in ("", place) or (more and not (days and float(days[1]) > 0)):
        raise ValueError(
            f"log url is {url!r}; expected sqlite:///path/to/log.db, which "
            "?retention_days=30 may follow, or kafka://HOST:PORT"
        )
    return Path(path), float(days[1]) if days else None


def follow(log: Log, topic: str, look_seconds: float = 5.0) -> Iterator[Record | None]:
    """All of a topic that has one partition, and None now and then while nothing more comes."""
    start = 0
    while True:
        while batch := log.read(topic, 0, start):
            yield from batch
            start = batch[-1].position.offset + 1
        yield None
        looked = time.monotonic()
        # A log that is away is told by reading alone.
        while time.monotonic() - looked < look_seconds:
            if log.wait(topic, 0, start, WAIT_SECONDS):
                break
            yield None


def read_all(log: Log, topic: str) -> Iterator[Record]:
    """Every record there is now, partition by partition."""
    return read_on(log, topic, {})


def read_on(log: Log, topic: str, offsets: dict[int, int]) -> Iterator[Record]:
    """What came since, partition by partition; `offsets` is moved to behind what was taken."""
    for partition, end in log.end(topic).items():
        while (start := offsets.get(partition, 0)) < end:
            batch = log.read(topic, partition, start)
            yield from batch
            offsets[partition] = batch[-1].position.offset + 1 if batch else end
