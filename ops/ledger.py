"""What was counted, so that nothing counts twice and a changed word replaces the former.

Lies in a file that is gone with the process: its memory stays as it is, however much is counted.
Knows nothing of what it counts.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from hashlib import blake2b
from itertools import chain
from typing import NamedTuple

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -64000;
CREATE TABLE seen (key INTEGER PRIMARY KEY);
CREATE TABLE words (key INTEGER PRIMARY KEY, place INTEGER, rater INTEGER, value REAL);
CREATE TABLE raters (
  place INTEGER, rater INTEGER, n INTEGER, total REAL, squares REAL, PRIMARY KEY (place, rater)
) WITHOUT ROWID;
"""
# So many rows at once: a statement costs more than a row.
_MORE = """
INSERT INTO raters VALUES {} ON CONFLICT DO UPDATE SET
  n = n + excluded.n, total = total + excluded.total, squares = squares + excluded.squares
RETURNING place, n, total, squares
"""
_ROW = "(?, ?, ?, ?, ?)"


class Sums(NamedTuple):
    """Of what one rater said in one place."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def plus(self, value: float, sign: int) -> "Sums":
        more = sign * value
        return Sums(self.n + sign, self.total + more, self.squares + sign * value * value)


class Change(NamedTuple):
    place: int
    before: Sums
    after: Sums


class Word(NamedTuple):
    place: int
    rater: str
    value: float


class Ledger:
    def __init__(self) -> None:
        # A nameless database, which SQLite keeps in a temporary file of its own.
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.executescript(_TABLES)

    @contextmanager
    def open(self) -> Iterator[None]:
        """What is counted within is written at once: much is read at each look."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:  # the log may go away in between: what was counted is counted
            self._db.execute("COMMIT")

    def is_new(self, *what: str) -> bool:
        """Whether it was not asked before."""
        found = self._db.execute("INSERT OR IGNORE INTO seen VALUES (?)", (_key(*what),))
        return found.rowcount > 0

    def say(self, identity: tuple[str, ...], word: Word | None) -> list[Change]:
        """What changes as `word` takes the place of what this identity said before."""
        key = _key(*identity)
        before = self._db.execute("DELETE FROM words WHERE key = ? RETURNING *", (key,)).fetchall()
        changes = list[Change]()
        for _, place, rater, value in before:
            changes += self._count(rater, {place: value}, -1)
        if word:
            rater = _key(word.rater)
            said = (key, word.place, rater, word.value)
            self._db.execute("INSERT INTO words VALUES (?, ?, ?, ?)", said)
            changes += self._count(rater, {word.place: word.value}, 1)
        return changes

    def add(self, rater: str, values: Mapping[int, float]) -> list[Change]:
        """One more of each place, which nothing will replace."""
        return self._count(_key(rater), values, 1)

    def close(self) -> None:
        self._db.close()

    def _count(self, rater: int, values: Mapping[int, float], sign: int) -> list[Change]:
        more = [(place, rater, *Sums().plus(value, sign)) for place, value in values.items()]
        found = self._db.execute(_more(len(more)), [*chain.from_iterable(more)]).fetchall()
        return [
            Change(place, Sums(*sums).plus(values[place], -sign), Sums(*sums))
            for place, *sums in found
        ]


@cache
def _more(rows: int) -> str:
    return _MORE.format(", ".join([_ROW] * rows))


def _key(*what: str) -> int:
    """Eight bytes: of a million, two are alike once in thirty million times."""
    told = "\0".join(what).encode()
    return int.from_bytes(blake2b(told, digest_size=8).digest(), signed=True)
