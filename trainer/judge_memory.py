"""The only file that knows judged.db: what a judge said, by the digest of what it was asked.

No text of anybody's is in it. The oldest go where there are more than a round may ask.
"""

import logging
import sqlite3
from pathlib import Path

from trainer.plan import MOST_QUESTIONS

_SCHEMA = "CREATE TABLE IF NOT EXISTS said (at INTEGER PRIMARY KEY, digest TEXT UNIQUE, word TEXT)"
_OLD = "DELETE FROM said WHERE at <= (SELECT max(at) FROM said) - ?"
_log = logging.getLogger("trainer")


class JudgeMemory:
    def __init__(self, folder: Path, most: int = MOST_QUESTIONS) -> None:
        path = folder / "judged.db"
        try:
            self._db = _opened(path, most)
        except sqlite3.OperationalError:  # no place, or no right to write there
            raise
        except sqlite3.DatabaseError as error:
            _log.warning("%s is damaged and begins anew: %s", path, error)
            path.unlink()
            self._db = _opened(path, most)

    def word(self, digest: str) -> str | None:
        found = self._db.execute("SELECT word FROM said WHERE digest = ?", (digest,)).fetchone()
        return found[0] if found else None

    def keep(self, digest: str, word: str) -> None:
        """On the disk when it returns."""
        self._db.execute("INSERT OR REPLACE INTO said VALUES (NULL, ?, ?)", (digest, word))

    def close(self) -> None:
        self._db.close()


def _opened(path: Path, most: int) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(_SCHEMA)
    db.execute(_OLD, (most,))
    return db
