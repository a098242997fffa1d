"""Only one trainer at a time: a lock on a file, let go by the system however its holder dies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class RoundRunning(Exception):
    """Another process is in a round."""


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "round.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RoundRunning(f"another trainer holds {file.name}") from error
        yield
