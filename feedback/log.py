"""The log: topics of records that are only ever appended. Door. Knows nothing of what they say.

Durable when `append` returns; read by position, from anywhere, any number of times. Readers keep
their positions with their own results, so that nothing is repeated or skipped when they die.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol


@dataclass(frozen=True)
class Topic:
    """`compacted`: of the records under one key, only the last must be kept."""

    name: str
    compacted: bool = False


COMPLETIONS = Topic("completions")
VERDICTS = Topic("verdicts")
SPLIT = Topic("split", compacted=True)
ROLLOUTS = Topic("rollouts")
SCORES = Topic("scores")
DEADLETTER = Topic("deadletter")
TOPICS = {t.name: t for t in (COMPLETIONS, VERDICTS, SPLIT, ROLLOUTS, SCORES, DEADLETTER)}


class Position(NamedTuple):
    partition: int
    offset: int


class Record(NamedTuple):
    position: Position
    key: str
    value: bytes


class LogAway(Exception):
    """The log cannot be reached, or cannot store, at the moment."""


class Log(Protocol):
    def append(self, topic: str, key: str, value: bytes) -> Position:
        """Durable when it returns; raises LogAway where it cannot be."""

    def append_all(self, items: list[tuple[str, str, bytes]]) -> list[Position]:
        """Several (topic, key, value), in order, for the price of one."""

    def read(self, topic: str, partition: int, start: int, limit: int = 1000) -> list[Record]:
        """What lies at `start` and after it, at most `limit` records; empty at the end."""

    def follow(self, topic: str, poll_seconds: float = 0.05) -> Iterator[Record | None]:
        """Every record from the first on, and None whenever the end is reached. Never ends."""

    def end(self, topic: str) -> dict[int, int]:
        """For each partition the offset that the next record will get."""

    def partitions(self, topic: str) -> int: ...

    def close(self) -> None: ...


def open_log(url: str) -> Log:
    """`sqlite:///relative/path.db` or `sqlite:////absolute/path.db`: the embedded log."""
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and len(rest) > 1 and rest.startswith("/"):
        from feedback.log_sqlite import (
            SqliteLog,
        )  # here, so that a backend is loaded only where it is used

        return SqliteLog(Path(rest[1:]))
    raise ValueError(f"log url is {url!r}; expected sqlite:///path/to/log.db")


def read_all(log: Log, topic: str) -> Iterator[Record]:
    """Every record there is now, partition by partition."""
    for partition, end in log.end(topic).items():
        start = 0
        while start < end:
            batch = log.read(topic, partition, start)
            if not batch:
                break
            yield from batch
            start = batch[-1].position.offset + 1
