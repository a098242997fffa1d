"""What the worker knows of requests whose verdicts may still come, and how far it has read.

The only file that knows this database. Knowledge and positions change in one transaction.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from feedback.events import VERDICTS, Completion, Verdict, decode, encode, group_of
from feedback.examples import Watermark
from feedback.join import Group, Said
from feedback.log import Position

_TABLES = """
CREATE TABLE IF NOT EXISTS completions (grp TEXT, id TEXT PRIMARY KEY, raw BLOB);
CREATE INDEX IF NOT EXISTS completions_of ON completions (grp);
CREATE TABLE IF NOT EXISTS verdicts (
    grp TEXT, partition INTEGER, "offset" INTEGER, raw BLOB, PRIMARY KEY (partition, "offset"));
CREATE INDEX IF NOT EXISTS verdicts_of ON verdicts (grp);
CREATE TABLE IF NOT EXISTS positions (place TEXT PRIMARY KEY, "offset" INTEGER);
"""


class Window:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.executescript(_TABLES)

    def position(self, places: Iterable[str]) -> Watermark:
        known = dict(self._db.execute('SELECT place, "offset" FROM positions').fetchall())
        return {place: known.get(place, 0) for place in places}

    def group(self, name: str) -> Group:
        completions = self._db.execute("SELECT raw FROM completions WHERE grp = ?", (name,))
        verdicts = self._db.execute(
            'SELECT raw, partition, "offset" FROM verdicts WHERE grp = ?', (name,)
        )
        known = [decode(raw, (Completion,)) for (raw,) in completions]
        return Group(
            {completion.id: completion for completion in known},
            tuple(Said(_verdict(raw), Position(p, o)) for raw, p, o in verdicts),
        )

    def commit(self, completions: list[Completion], said: list[Said], end: Watermark) -> None:
        """Remember these, and that the log was read up to `end`: both or neither."""
        with closing(self._db.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            cursor.executemany(
                "INSERT OR IGNORE INTO completions VALUES (?, ?, ?)",
                [(group_of(c.id), c.id, encode(c)) for c in completions],
            )
            cursor.executemany(
                "INSERT OR IGNORE INTO verdicts VALUES (?, ?, ?, ?)",
                [(group_of(s.verdict.completion_id), *s.position, encode(s.verdict)) for s in said],
            )
            cursor.executemany("INSERT OR REPLACE INTO positions VALUES (?, ?)", end.items())
            cursor.execute("COMMIT")

    def close(self) -> None:
        self._db.close()


def _verdict(raw: bytes) -> Verdict:
    verdict = decode(raw, VERDICTS)
    assert isinstance(verdict, Verdict)  # only such were stored
    return verdict
