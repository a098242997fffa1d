"""The embedded log: one SQLite file, one partition per topic. The only file that knows its tables.

Any number of processes may append and read at once (WAL). It keeps everything, unless it is told
for how many days.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep, time

from feedback.topics import READ_BYTES, TOPICS, LogAway, Position, Record, checked

BUSY_TIMEOUT_SECONDS = 10.0
_TABLES = """
CREATE TABLE IF NOT EXISTS records (
    topic TEXT NOT NULL,
    "offset" INTEGER NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (topic, "offset")
) WITHOUT ROWID;
-- Those before this offset were there at this time, in seconds.
CREATE TABLE IF NOT EXISTS marks (topic TEXT, at REAL, "offset" INTEGER)
"""
_NEXT = 'SELECT coalesce(max("offset") + 1, 0) FROM records WHERE topic = ?'
_READ = """
SELECT "offset", key, value FROM records WHERE topic = ? AND "offset" >= ?
ORDER BY "offset" LIMIT ?
"""
_OLD_MARK = 'SELECT max("offset") FROM marks WHERE topic = ? AND at < ?'
_REMOVE = 'DELETE FROM records WHERE topic = ? AND "offset" < ?'
_LOOK_SECONDS = 0.02
_MARK_SECONDS = 600.0


class SqliteLog:
    """`now`: seconds since 1970, for what is older than the days that are kept."""

    def __init__(
        self, path: Path, retention_days: float | None = None, now: Callable[[], float] = time
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._days, self._now = path, retention_days, now
        self._marked: dict[str, float] = {}
        self._writing = threading.Lock()
        self._writer = self._connect()
        self._readers = threading.local()
        self._open: list[sqlite3.Connection] = [self._writer]
        with self._translated():
            self._writer.executescript(_TABLES)

    def append(self, topic: str, key: str, value: bytes) -> Position:
        return self.append_all([(topic, key, value)])[0]

    def append_all(self, items: list[tuple[str, str, bytes]]) -> list[Position]:
        for topic, _, value in items:
            checked(topic, value)
        with self._writing, self._translated(), self._transaction():
            for topic in {topic for topic, _, _ in items}:
                self._remove_old(topic)
            return [self._insert(topic, key, value) for topic, key, value in items]

    def read(self, topic: str, partition: int, start: int, limit: int = 1000) -> list[Record]:
        checked(topic)
        if partition != 0:
            raise ValueError(f"partition is {partition}; the embedded log has only 0")
        with self._translated():
            return list(_some(self._reader().execute(_READ, (topic, start, limit))))

    def wait(self, topic: str, partition: int, start: int, seconds: float) -> bool:
        ends = monotonic() + seconds
        while not (found := self.end(topic)[partition] > start) and monotonic() < ends:
            sleep(_LOOK_SECONDS)  # it is a file: nobody calls
        return found

    def end(self, topic: str) -> dict[int, int]:
        checked(topic)
        with self._translated():
            return {0: self._reader().execute(_NEXT, (topic,)).fetchone()[0]}

    def partitions(self, topic: str) -> int:
        checked(topic)
        return 1

    def close(self) -> None:
        for connection in self._open:
            connection.close()

    def _insert(self, topic: str, key: str, value: bytes) -> Position:
        offset: int = self._writer.execute(_NEXT, (topic,)).fetchone()[0]
        self._writer.execute("INSERT INTO records VALUES (?, ?, ?, ?)", (topic, offset, key, value))
        return Position(0, offset)

    def _remove_old(self, topic: str) -> None:
        """Now and then. Never the last record: it says which offset the next one gets."""
        now = self._now()
        if self._days is None or TOPICS[topic].kept:
            return
        if now - self._marked.get(topic, 0) < _MARK_SECONDS:
            return
        self._marked[topic] = now
        last = self._writer.execute(_NEXT, (topic,)).fetchone()[0] - 1
        self._writer.execute("INSERT INTO marks VALUES (?, ?, ?)", (topic, now, last + 1))
        oldest = now - self._days * 86_400
        (end,) = self._writer.execute(_OLD_MARK, (topic, oldest)).fetchone()
        if end is not None:
            self._writer.execute(_REMOVE, (topic, min(end, last)))
            self._writer.execute("DELETE FROM marks WHERE topic = ? AND at < ?", (topic, oldest))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._writer.execute("BEGIN IMMEDIATE")  # so that two writers never take one offset
        try:
            yield
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:  # SQLite may have rolled back by itself
                self._writer.execute("ROLLBACK")
            raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise LogAway(f"{self._path}: {error}") from error

    def _reader(self) -> sqlite3.Connection:
        # A connection per thread: SQLite lets one read while another writes.
        if not hasattr(self._readers, "connection"):
            self._readers.connection = self._connect()
            self._open.append(self._readers.connection)
        connection: sqlite3.Connection = self._readers.connection
        return connection

    def _connect(self) -> sqlite3.Connection:
        with self._translated():
            connection = sqlite3.connect(
                self._path,
                timeout=BUSY_TIMEOUT_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")  # durable when append returns
            return connection


def _some(rows: Iterable[tuple[int, str, bytes]]) -> Iterator[Record]:
    size = 0
    for offset, key, value in rows:
        yield Record(Position(0, offset), key, value)
        size += len(value)
        if size > READ_BYTES:
            return
