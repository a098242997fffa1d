"""What is on its way to the log waits here, on disk, and is handed over in order. Door.

A record in the spool survives the death of its process; one appended durably, that of the machine.
Handing over may repeat a record after a crash, never skip one: readers know records by their ids.
"""

import json
import logging
import os
import threading
from base64 import b64decode, b64encode
from binascii import crc32
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from feedback.disk import sync
from feedback.log import Log, LogAway, RecordTooLarge, checked

RETRY_SECONDS = 0.5
BATCH_BYTES = 500_000
# A log that takes longer is not waited for: SQLite takes 5 ms, Kafka 6 to 12 ms, an election 6 s.
PATIENCE_SECONDS = 0.03
_log = logging.getLogger(__name__)

Item = tuple[str, str, bytes]  # topic, key, value


class SpoolFull(Exception):
    """More waits here than may; only what is not durable is shed."""


class Spool:
    """A file of lines for each run of the process; a thread moves them to the log, oldest first.

    All goes through it, so that order is kept, many share one trip to the log, and nobody waits
    longer for a log that is slow than for a disk.
    """

    def __init__(self, folder: Path, log: Log, *, max_bytes: int = 1_000_000_000) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log, self._max_bytes = log, max_bytes
        left = sorted(folder.glob("*.spool"))  # of runs that died
        number = int(left[-1].stem) + 1 if left else 1
        self._path = folder / f"{number:08d}.spool"
        self._file = self._path.open("ab", buffering=0)
        sync(folder)  # or a power cut could take the file, and all that was synced into it
        self._left_bytes = sum(path.stat().st_size for path in left if path.is_file())
        self._written = 0
        self._moved = dict.fromkeys([*left, self._path], 0)  # how many bytes of each, oldest first
        self._in_trouble = set[Path]()
        # How many records ever came, and how many of them are on the log.
        self._came = self._handed_over = 0
        self._changing = threading.Condition()
        self._more, self._stop = threading.Event(), threading.Event()
        self._more.set()  # what was left
        self._thread = threading.Thread(target=self._drain, name="spool", daemon=True)
        self._thread.start()

    @property
    def waiting_bytes(self) -> int:
        return self._left_bytes + self._written - self._moved[self._path]

    def append_soon(self, topic: str, key: str, value: bytes) -> bool:
        """Never waits for the log and never raises; on the log within moments.

        False: it could not be written down, or too much waits already; it is lost.
        """
        try:
            if self.waiting_bytes > self._max_bytes:
                raise SpoolFull(f"{self.waiting_bytes:,} bytes wait; expected {self._max_bytes:,}")
            self._write((topic, key, value))
        except (OSError, RecordTooLarge, SpoolFull) as error:
            _log.error("a record of %s is lost: %s", topic, error)
            return False
        return True

    def append(self, topic: str, key: str, value: bytes) -> None:
        """Durable when it returns: on the log, or synced to disk where the log takes its time."""
        try:
            number = self._write((topic, key, value))
        except OSError as error:
            _log.error("the spool cannot be written, so the log must take it: %s", error)
            self._log.append(topic, key, value)
            return
        with self._changing:
            taken = self._changing.wait_for(lambda: self._handed_over >= number, PATIENCE_SECONDS)
        if not taken:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Hands over what is waiting, if the log takes it."""
        self._stop.set()
        self._more.set()
        self._thread.join(timeout=10)
        self._file.close()

    def _write(self, item: Item) -> int:
        """Its number among all that came."""
        checked(item[0], item[2])
        line = _encode(item)
        with self._changing:
            self._put(line)
            self._written += len(line)
            self._came += 1
            number = self._came
        self._more.set()
        return number

    def _put(self, line: bytes) -> None:
        """All of it or nothing: on a full disk the system may take a part."""
        try:
            at = 0
            while at < len(line):
                at += self._file.write(line[at:])
        except OSError:
            self._file.truncate(self._written)
            raise

    def _drain(self) -> None:
        stopping = False
        while not stopping:
            self._more.wait()
            self._more.clear()
            stopping = self._stop.is_set()  # before the last look, so that it sees everything
            for path in list(self._moved):
                self._try_to_move(path)
            if self._in_trouble:
                self._stop.wait(RETRY_SECONDS)
                self._more.set()
        if not self.waiting_bytes:
            with suppress(OSError):  # an empty file does no harm; the next run removes it
                self._path.unlink()

    def _try_to_move(self, path: Path) -> None:
        try:
            if self._move(path):
                self._drop(path)
            self._in_trouble.discard(path)
        except Exception:  # whatever it is, the records in the other files must not wait for it
            if path not in self._in_trouble:
                _log.exception("%s cannot be handed over; it is tried again", path)
            self._in_trouble.add(path)

    def _move(self, path: Path) -> bool:
        """Hand over the whole lines: was it all of them, or did it have to stop?"""
        with path.open("rb") as file:
            while True:
                file.seek(self._moved[path])
                lines = _whole(file.readlines(BATCH_BYTES))
                if not lines:
                    return True
                if not self._hand_over([item for line in lines if (item := _decode(line))]):
                    return False
                self._on_the_log(path, lines)

    def _on_the_log(self, path: Path, lines: list[bytes]) -> None:
        with self._changing:
            self._moved[path] += sum(map(len, lines))
            if path == self._path:
                self._handed_over += len(lines)
                self._changing.notify_all()
            else:
                self._left_bytes -= sum(map(len, lines))

    def _drop(self, path: Path) -> None:
        """What is on the log takes no room here."""
        if path != self._path:
            self._left_bytes -= path.stat().st_size - self._moved[path]  # torn by a crash
            path.unlink()
            del self._moved[path]
            return
        with self._changing:
            if self._moved[path] == self._written:
                self._file.truncate(0)
                self._moved[path] = self._written = 0

    def _hand_over(self, items: list[Item]) -> bool:
        while True:
            try:
                self._log.append_all(items)
                return True
            except LogAway as error:
                _log.warning("the log is away, %d records wait: %s", len(items), error)
            if self._stop.wait(RETRY_SECONDS):
                return False


def _encode(item: Item) -> bytes:
    topic, key, value = item
    body = json.dumps([topic, key, b64encode(value).decode()]).encode()
    return b"%08x %s\n" % (crc32(body), body)


def _decode(line: bytes) -> Item | None:
    checksum, _, body = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % crc32(body):
        _log.error("a spooled record is damaged and is left out: %.80r", line)
        return None
    topic, key, value = json.loads(body)
    return topic, key, b64decode(value)


def _whole(lines: list[bytes]) -> list[bytes]:
    """Up to one that was torn by a crash, or is still being written.

    Not all that end with a newline: the rest of a half-written line may have come as a line more.
    """
    return list(takewhile(lambda line: line.endswith(b"\n"), lines))
