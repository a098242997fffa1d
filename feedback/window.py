"""What the worker knows of requests whose verdicts may still come, and how far it has read.

The only file that knows this database. Knowledge and positions change in one transaction. It is
bounded: what is too old goes, then what is too much, the oldest first.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

from feedback.answers import read_answer
from feedback.database import changing, open_database
from feedback.events import group_of
from feedback.examples import Watermark
from feedback.join import Group, Said, Served
from feedback.log import Position
from feedback.words import read_word

# `seen` is the newest time on the log when the row came, in microseconds: it never falls from one
# row to the next, so the first rows are the oldest.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS completions (
    row INTEGER PRIMARY KEY, seen INTEGER, grp TEXT, id TEXT, raw BLOB);
CREATE UNIQUE INDEX IF NOT EXISTS completions_of ON completions (grp, id);
CREATE TABLE IF NOT EXISTS verdicts (
    row INTEGER PRIMARY KEY, seen INTEGER, grp TEXT, partition INTEGER, "offset" INTEGER, raw BLOB);
CREATE UNIQUE INDEX IF NOT EXISTS verdicts_of ON verdicts (grp, partition, "offset");
CREATE TABLE IF NOT EXISTS positions (place TEXT PRIMARY KEY, "offset" INTEGER);
CREATE TABLE IF NOT EXISTS forgotten (user TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS numbers (name TEXT PRIMARY KEY, value INTEGER);
"""
TABLES = ("completions", "verdicts")
# What waited in a spool comes late on the log; its verdicts are not late for that.
GRACE = timedelta(days=1)
_ASKED_AT_ONCE = 500
_ADDED_AT_ONCE = 2000  # a statement takes up to 32,766 values
_DROPPED_AT_ONCE = 5000
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Window:
    """`now` keeps a record from the future, by a clock that is wrong, from emptying the window."""

    def __init__(
        self,
        path: Path,
        *,
        span: timedelta = timedelta(days=14),
        max_bytes: int = 10_000_000_000,
        max_bytes_at_once: int = 64_000_000,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._keep, self._max_bytes, self._now = span + GRACE, max_bytes, now
        self._max_bytes_at_once = max_bytes_at_once  # of completions; as events they take ten times
        self._db = open_database(path, _SCHEMA)
        self.forgotten = {user for (user,) in self._db.execute("SELECT user FROM forgotten")}

    def position(self, places: Iterable[str]) -> Watermark:
        known = dict(self._db.execute('SELECT place, "offset" FROM positions'))
        return {place: known.get(place, 0) for place in places}

    def groups(self, judged: set[str], new: set[str]) -> dict[str, Group]:
        """What is known of requests that are judged now, or were before they were served."""
        said: dict[str, list[Said]] = defaultdict(list)
        for name, *place, raw in self._of("verdicts", 'partition, "offset", raw', judged | new):
            said[name].append(Said(read_word(raw), Position(*place), raw))
        names = judged | said.keys()
        served: dict[str, list[Served]] = defaultdict(list)
        for name, raw in self._of("completions", "raw", names):
            served[name].append(Served(read_answer(raw), raw))
        return {name: Group().add(served[name], said[name]) for name in names}

    def fitting(self, groups: list[str]) -> int:
        """How many of these, from the first on, are not too much to be looked up at once."""
        sizes: dict[str, int] = {}
        for name, size in self._of("completions", "length(raw)", set(groups)):
            sizes[name] = sizes.get(name, 0) + size
        most = self._max_bytes_at_once
        for at, name in enumerate(groups):
            most -= sizes.pop(name, 0)
            if most < 0:
                return max(at, 1)
        return len(groups)

    def commit(self, served: list[Served], said: list[Said], end: Watermark) -> int:
        """Remember these, and that the log was read up to `end`: both or neither.

        How many records had to go.
        """
        with changing(self._db):
            self._tick([one.answer.at for one in served] + [one.verdict.at for one in said])
            self._add(served, said)
            gone = sum(self._drop(table) for table in TABLES)
            self._db.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?)", end.items())
        return gone

    def forget(self, users: set[str], end: Watermark) -> None:
        """Remember who they are, and that the log was read up to `end`."""
        with changing(self._db):
            names = [(user,) for user in users]
            self._db.executemany("INSERT OR IGNORE INTO forgotten VALUES (?)", names)
            self._db.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?)", end.items())
        self.forgotten |= users

    def counts(self) -> dict[str, int]:
        """How many records of each topic are here. Rows only ever go from the front."""
        return {table: self._last(table) - self._first(table) + 1 for table in TABLES}

    def bytes(self) -> int:
        return sum(self._number(f"bytes of {table}") for table in TABLES)

    def close(self) -> None:
        self._db.close()

    def _of(self, table: str, columns: str, groups: Iterable[str]) -> Iterator[tuple[Any, ...]]:
        names = sorted(groups)
        for at in range(0, len(names), _ASKED_AT_ONCE):
            asked = names[at : at + _ASKED_AT_ONCE]
            where = f"grp IN ({', '.join('?' * len(asked))}) ORDER BY row"
            yield from self._db.execute(f"SELECT grp, {columns} FROM {table} WHERE {where}", asked)

    def _tick(self, times: list[datetime]) -> None:
        now = self._now()
        if times:
            seen = _micros(min(max(times), now))
            self._set("clock", max(self._number("clock"), seen))

    def _add(self, served: list[Served], said: list[Said]) -> None:
        clock = self._number("clock")
        last = {table: self._last(table) for table in TABLES}
        self._insert(
            "completions (seen, grp, id, raw)",
            [(clock, group_of(one.id), one.id, raw) for one, raw in served],
        )
        self._insert(
            'verdicts (seen, grp, partition, "offset", raw)',
            [(clock, group_of(v.completion_id), *position, raw) for v, position, raw in said],
        )
        for table, row in last.items():
            size = f"SELECT coalesce(sum(length(raw)), 0) FROM {table} WHERE row > ?"
            self._grow(table, self._db.execute(size, (row,)).fetchone()[0])

    def _insert(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        # Many rows by one statement: after each statement this thread would wait for Python, up to
        # 5 ms while another thread has it.
        for at in range(0, len(rows), _ADDED_AT_ONCE):
            some = rows[at : at + _ADDED_AT_ONCE]
            values = ", ".join([f"({', '.join('?' * len(some[0]))})"] * len(some))
            flat = [*chain.from_iterable(some)]
            self._db.execute(f"INSERT OR IGNORE INTO {table} VALUES {values}", flat)

    def _drop(self, table: str) -> int:
        """A part of what is too old or too much; how many that were."""
        too_old, too_much = self._number("clock") - self._keep // _MICROSECOND, self._too_much()
        rows = self._db.execute(
            f"SELECT row, seen, length(raw) FROM {table} ORDER BY row LIMIT {_DROPPED_AT_ONCE}"
        )
        freed = count = 0
        for row, seen, size in rows:
            if seen >= too_old and freed >= too_much:
                break
            freed, count, last = freed + size, count + 1, row
        if count:
            self._db.execute(f"DELETE FROM {table} WHERE row <= ?", (last,))
            self._grow(table, -freed)
        return count

    def _too_much(self) -> int:
        return self.bytes() - self._max_bytes

    # Asked one by one: of both ends at once SQLite reads the whole table.
    def _first(self, table: str) -> int:
        row: int = self._db.execute(f"SELECT coalesce(min(row), 1) FROM {table}").fetchone()[0]
        return row

    def _last(self, table: str) -> int:
        row: int = self._db.execute(f"SELECT coalesce(max(row), 0) FROM {table}").fetchone()[0]
        return row

    def _grow(self, table: str, size: int) -> None:
        name = f"bytes of {table}"
        self._set(name, self._number(name) + size)

    def _number(self, name: str) -> int:
        found = self._db.execute("SELECT value FROM numbers WHERE name = ?", (name,)).fetchone()
        return found[0] if found else 0

    def _set(self, name: str, value: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO numbers VALUES (?, ?)", (name, value))


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND
