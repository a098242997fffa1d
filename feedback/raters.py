"""What raters said of late, for the guard to look at. The only file that knows this database.

Opinions and position change in one transaction, and with each opinion its rater's tally. What is
older than the span goes.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from feedback.database import changing, open_database
from feedback.examples import Identity, Watermark
from feedback.guard import Crowd, Opinion, Suspicion, Thumbs

# More than a person says in the span: of a machine that says more, the newest to come are enough.
MOST = 5000
_LESS = """
UPDATE tallies SET up = up - old.up, total = total - 1
    WHERE adapter = old.adapter AND rater = old.rater AND old.up IS NOT NULL;
DELETE FROM tallies WHERE adapter = old.adapter AND rater = old.rater AND total = 0;"""
_MORE = """
INSERT INTO tallies SELECT new.adapter, new.rater, new.up, 1 WHERE new.up IS NOT NULL
    ON CONFLICT DO UPDATE SET up = up + excluded.up, total = total + 1;"""
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS opinions (
    completion_id TEXT, slot TEXT, rater TEXT, asker TEXT, adapter TEXT, at INTEGER, up INTEGER,
    winner TEXT, rival_id TEXT, ruled INTEGER DEFAULT 0, PRIMARY KEY (completion_id, slot, rater));
CREATE INDEX IF NOT EXISTS opinions_by ON opinions (rater);
CREATE INDEX IF NOT EXISTS opinions_against ON opinions (rival_id) WHERE rival_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS opinions_at ON opinions (at);
CREATE TABLE IF NOT EXISTS tallies (
    adapter TEXT, rater TEXT, up INTEGER, total INTEGER, PRIMARY KEY (adapter, rater));
CREATE TRIGGER IF NOT EXISTS said AFTER INSERT ON opinions BEGIN {_MORE} END;
CREATE TRIGGER IF NOT EXISTS changed AFTER UPDATE OF up ON opinions BEGIN {_LESS} {_MORE} END;
CREATE TRIGGER IF NOT EXISTS gone AFTER DELETE ON opinions BEGIN {_LESS} END;
CREATE TABLE IF NOT EXISTS positions (place TEXT PRIMARY KEY, "offset" INTEGER);
"""
_COLUMNS = "completion_id, slot, rater, asker, adapter, at, up, winner, rival_id"
_WHICH = "completion_id = ? AND slot = ? AND rater = ?"
_PUT = f"""
INSERT INTO opinions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET at = excluded.at, up = excluded.up, winner = excluded.winner,
    rival_id = excluded.rival_id
"""
_ASKED_AT_ONCE = 500
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Row = tuple[str, str, str, str, str, int, int | None, str | None, str | None]


class Raters:
    """`now` keeps an opinion from the future, by a wrong clock, from emptying the memory."""

    def __init__(
        self,
        path: Path,
        *,
        span: timedelta = timedelta(days=14),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._span, self._now = span, now
        self._db = open_database(path, _SCHEMA)

    def position(self) -> Watermark:
        return dict(self._db.execute('SELECT place, "offset" FROM positions'))

    def changing(self) -> AbstractContextManager[None]:
        """All that is added and marked meanwhile, or nothing."""
        return changing(self._db)

    def add(self, said: list[Opinion], taken_back: list[Identity], ruled: list[Identity]) -> None:
        self._db.executemany(_PUT, [_row(one) for one in said])
        self._db.executemany(f"DELETE FROM opinions WHERE {_WHICH}", taken_back)
        self._mark(ruled)

    def seen(self, suspicions: list[Suspicion], end: Watermark) -> None:
        """The guard ruled on these, and has seen the examples up to `end`."""
        self._mark(one.identity for one in suspicions)
        newest = self._db.execute("SELECT max(at) FROM opinions").fetchone()[0] or 0
        oldest = min(newest, _micros(self._now())) - self._span // _MICROSECOND
        self._db.execute("DELETE FROM opinions WHERE at < ?", (oldest,))
        self._db.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?)", end.items())

    def of_rater(self, rater: str, most: int = MOST) -> list[Opinion]:
        """The newest to come. By row, not by time: what has just come is always among them."""
        return self._where("rater = ? ORDER BY rowid DESC LIMIT ?", rater, most)

    def of_completion(self, completion_id: str) -> list[Opinion]:
        return self._where("completion_id = ?", completion_id)

    def comparisons(self, own: Iterable[Opinion]) -> list[Opinion]:
        """By anybody, of the completions that these are about."""
        found = dict[Identity, Opinion]()
        names = sorted({one.identity.completion_id for one in own})
        for at in range(0, len(names), _ASKED_AT_ONCE):
            asked = names[at : at + _ASKED_AT_ONCE]
            these = f"IN ({', '.join('?' * len(asked))})"
            for where in (f"winner IS NOT NULL AND completion_id {these}", f"rival_id {these}"):
                found |= {one.identity: one for one in self._where(where, *asked)}
        return list(found.values())

    def crowd(self) -> Crowd:
        """As it is now; an adapter's is read when it is asked for, and once."""
        return _Crowd(self._db)

    def unruled(self, suspicions: Iterable[Suspicion]) -> list[Suspicion]:
        """Those on which neither the guard nor a person has ruled."""
        asked = f"SELECT 1 FROM opinions WHERE NOT ruled AND {_WHICH}"
        return [one for one in suspicions if self._db.execute(asked, one.identity).fetchone()]

    def close(self) -> None:
        self._db.close()

    def _mark(self, ruled: Iterable[Identity]) -> None:
        self._db.executemany(f"UPDATE opinions SET ruled = 1 WHERE {_WHICH}", ruled)

    def _where(self, condition: str, *values: str | int) -> list[Opinion]:
        asked = f"SELECT {_COLUMNS} FROM opinions WHERE {condition}"
        return [_opinion(row) for row in self._db.execute(asked, values)]


class _Crowd(Mapping[str, Mapping[str, Thumbs]]):
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db, self._read = db, dict[str, dict[str, Thumbs]]()

    def __getitem__(self, adapter: str) -> Mapping[str, Thumbs]:
        if adapter not in self._read:
            asked = "SELECT rater, up, total FROM tallies WHERE adapter = ?"
            rows = self._db.execute(asked, (adapter,))
            self._read[adapter] = {rater: Thumbs(up, total) for rater, up, total in rows}
        return self._read[adapter]

    def __iter__(self) -> Iterator[str]:
        return (adapter for (adapter,) in self._db.execute("SELECT DISTINCT adapter FROM tallies"))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _row(one: Opinion) -> _Row:
    about = one.asker, one.adapter, _micros(one.at), one.up
    return (*one.identity, *about, one.winner, one.rival_id)


def _opinion(row: _Row) -> Opinion:
    name, slot, rater, asker, adapter, micros, up, winner, rival_id = row
    return Opinion(
        identity=Identity(name, slot, rater),
        asker=asker,
        adapter=adapter,
        at=_EPOCH + micros * _MICROSECOND,
        up=None if up is None else bool(up),
        winner=winner,
        rival_id=rival_id,
    )
