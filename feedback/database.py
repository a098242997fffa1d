"""How the room's small databases are opened and changed. Knows nothing of what is in them."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PRAGMAS = """
PRAGMA page_size = 16384; -- of a new database: a completion of 3 kB is written in half the time
PRAGMA wal_autocheckpoint = 2000; -- pages, 32 MB
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL; -- a power cut may undo the last changes, whole
PRAGMA cache_size = -65536;  -- 64 MB, whatever it holds
"""


def open_database(path: Path, schema: str) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    with _translated(path):
        db = sqlite3.connect(path, isolation_level=None)
        db.executescript(_PRAGMAS + schema)
    return db


@contextmanager
def changing(db: sqlite3.Connection) -> Iterator[None]:
    """All that is done meanwhile, or nothing."""
    (path,) = [row[2] for row in db.execute("PRAGMA database_list") if row[1] == "main"]
    with _translated(path), db:
        db.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def _translated(path: Path | str) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:  # a full disk, as a rule
        raise OSError(f"{path}: {error}") from error
