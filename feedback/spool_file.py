"""One file of the spool: a line for each record, and a lock that says which process has it.

Knows nothing of the log.
"""

import json
import logging
import os
from base64 import b64decode, b64encode
from binascii import crc32
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from io import FileIO
from pathlib import Path

from pydantic_core import to_json

_log = logging.getLogger(__name__)

Item = tuple[str, str, bytes]  # topic, key, value


@dataclass(eq=False)
class SpoolFile:
    """`own`: of this run, which writes whole lines only; others were left by runs that died."""

    path: Path
    handle: FileIO  # holds the lock
    own: bool = False
    written: int = 0  # bytes
    moved: int = 0  # bytes that are on the log

    @property
    def waiting(self) -> int:
        return self.written - self.moved

    def put(self, line: bytes) -> None:
        """All of it or nothing: on a full disk the system may take a part."""
        number, at = self.handle.fileno(), 0
        try:
            while at < len(line):
                at += os.pwrite(number, line[at:], self.written + at)
        except OSError:
            self.handle.truncate(self.written)
            raise
        self.written += len(line)

    def lines(self, end: int, some: int) -> list[bytes]:
        """Some bytes of those that wait before this end."""
        if end == self.moved:
            return []
        with self.path.open("rb") as file:
            file.seek(self.moved)
            return list(_whole(file, min(some, end - self.moved)))

    def empty(self) -> None:
        self.handle.truncate(0)
        self.moved = self.written = 0

    def remove(self) -> None:
        self.path.unlink()  # first: nobody may remove a file that another one has locked
        self.handle.close()


def locked(path: Path, mode: str) -> FileIO | None:
    """None where another process has it, or has just removed it."""
    ours = False
    with suppress(FileNotFoundError):
        handle = FileIO(path, mode)
        try:
            with suppress(BlockingIOError):
                flock(handle, LOCK_EX | LOCK_NB)
                ours = os.path.samestat(path.stat(), os.fstat(handle.fileno()))
        finally:
            if not ours:
                handle.close()
    return handle if ours else None


def encode(item: Item) -> bytes:
    topic, key, value = item
    body = to_json([topic, key, b64encode(value).decode()])
    return b"%08x %s\n" % (crc32(body), body)


def decode(line: bytes) -> Item | None:
    checksum, _, body = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % crc32(body):
        _log.error("a spooled record is damaged and is left out: %.80r", line)
        return None
    topic, key, value = json.loads(body)
    return topic, key, b64decode(value)


def _whole(lines: Iterable[bytes], size: int) -> Iterator[bytes]:
    """So many bytes, or up to a line that was torn by a crash.

    Not all that end with a newline: the rest of a half-written line may have come as a line more.
    """
    for line in lines:
        if not line.endswith(b"\n"):
            return
        yield line
        size -= len(line)
        if size <= 0:
            return
