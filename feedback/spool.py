"""What is on its way to the log waits here, on disk, and is handed over in order. Door.

A record in the spool survives the death of its process; one appended durably, that of the machine.
Handing over may repeat a record after a crash, never skip one: readers know records by their ids.
"""

import logging
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from feedback.disk import sync
from feedback.log import Log, LogAway, RecordTooLarge
from feedback.spool_file import Item, SpoolFile, decode, encode, locked
from feedback.topics import checked

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pace:
    """How patient a spool is, and in what portions it works."""

    retry_seconds: float = 0.5
    # Slower logs are not waited for: SQLite takes 5 ms, Kafka 6 to 12 ms, an election 6 s.
    patience_seconds: float = 0.015
    # What is not durable waits for others to share its trip: taken at once, each record would hold
    # up the answer that it belongs to.
    gather_seconds: float = 0.05
    # So long it gathers on after the last one: who writes a record need not wake it each time.
    linger_seconds: float = 1.0
    # How often it looks for what a process that shared the folder left when it died.
    look_seconds: float = 5.0
    batch_bytes: int = 500_000
    # A file takes room until all of it is on the log, so it must end at some time.
    file_bytes: int = 16_000_000


_USUAL = Pace()


class SpoolFull(Exception):
    """More waits here than may; only what is not durable is shed."""


class Spool:
    """Files of lines for each run of the process; a thread moves them to the log, oldest first.

    All goes through it, so that order is kept, many share one trip to the log, and nobody waits
    longer for a log that is slow than for a disk. Processes may share a folder.
    """

    def __init__(
        self, folder: Path, log: Log, *, max_bytes: int = 1_000_000_000, pace: Pace = _USUAL
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._log, self._max_bytes, self._pace = folder, log, max_bytes, pace
        self._in_trouble = set[Path]()
        self._left: list[SpoolFile] = []  # by runs that died
        self._take_over()
        self._own = [self._begin()]  # the last one is written to
        # How many records ever came, and how many of them are on the log.
        self._came = self._handed_over = 0
        self._on_the_way_since: float | None = None  # to the log, those that are next
        self._changing = threading.Condition()
        self._more, self._urgent = threading.Event(), threading.Event()
        self._stop = threading.Event()
        self._more.set()  # what was left
        self._thread = threading.Thread(target=self._drain, name="spool", daemon=True)
        self._thread.start()

    @property
    def waiting_bytes(self) -> int:
        with self._changing:
            return self._waiting()

    def append_soon(self, topic: str, key: str, value: bytes) -> bool:
        """Never waits for the log and never raises; on the log within moments.

        False: it could not be written down, or too much waits already; it is lost.
        """
        try:
            self._write((topic, key, value), self._max_bytes)
        except (OSError, RecordTooLarge, SpoolFull) as error:
            _log.error("a record of %s is lost: %s", topic, error)
            return False
        return True

    def append(self, topic: str, key: str, value: bytes) -> None:
        """Durable when it returns: on the log, or synced to disk where the log takes its time."""
        try:
            number, path = self._write((topic, key, value))
        except OSError as error:
            _log.error("the spool cannot be written, so the log must take it: %s", error)
            self._log.append(topic, key, value)
            return
        self._urgent.set()
        with self._changing:
            taken = self._changing.wait_for(lambda: self._handed_over >= number, self._patience())
        if not taken:
            with suppress(FileNotFoundError):  # it is on the log by now
                sync(path)

    def close(self) -> None:
        """Hands over what is waiting, if the log takes it."""
        self._stop.set()
        self._urgent.set()
        self._more.set()
        self._thread.join(timeout=10)

    def _patience(self) -> float:
        """In seconds. None is left where those before it wait too long already."""
        since = self._on_the_way_since
        return self._pace.patience_seconds - (time.monotonic() - since if since else 0)

    def _waiting(self) -> int:
        return sum([file.waiting for file in (*self._left, *self._own)])

    def _write(self, item: Item, most_bytes: int | None = None) -> tuple[int, Path]:
        """Its number among all that came, and where it is."""
        checked(item[0], item[2])
        line = encode(item)
        with self._changing:
            if most_bytes is not None and (waiting := self._waiting()) > most_bytes:
                raise SpoolFull(f"{waiting:,} bytes wait; expected {most_bytes:,}")
            file = self._place()
            file.put(line)
            self._came += 1
            number = self._came
        if not self._more.is_set():  # to look is quicker
            self._more.set()
        return number, file.path

    def _place(self) -> SpoolFile:
        if self._own[-1].written >= self._pace.file_bytes:
            with suppress(OSError):  # the old one takes more
                self._own.append(self._begin())
        return self._own[-1]

    def _begin(self) -> SpoolFile:
        number = max((int(path.stem) for path in self._folder.glob("*.spool")), default=0)
        handle = None
        while handle is None:  # where another process was quicker
            number += 1
            path = self._folder / f"{number:08d}.spool"
            with suppress(FileExistsError):
                handle = locked(path, "xb")
        sync(self._folder)  # or a power cut could take the file, and all that was synced into it
        return SpoolFile(path, handle, own=True)

    def _take_over(self) -> None:
        """What runs that died have left. Files that a process has, this one too, are locked."""
        self._looked = time.monotonic()
        for path in sorted(self._folder.glob("*.spool")):
            try:
                if handle := locked(path, "rb"):
                    size = os.fstat(handle.fileno()).st_size
                    self._left.append(SpoolFile(path, handle, written=size))
            except OSError:
                self._complain(path)

    def _complain(self, path: Path) -> None:
        if path not in self._in_trouble:
            _log.exception("%s cannot be handed over; it is tried again", path)
        self._in_trouble.add(path)

    def _drain(self) -> None:
        stopping, came, since = False, 0, time.monotonic()
        while not stopping:
            if self._more.wait(self._pace.look_seconds):
                self._urgent.wait(self._pace.gather_seconds)
            self._urgent.clear()
            if self._came != came:
                came, since = self._came, time.monotonic()
            elif time.monotonic() - since >= self._pace.linger_seconds:
                self._more.clear()
            stopping = self._stop.is_set()  # before the last look, so that it sees everything
            if time.monotonic() - self._looked >= self._pace.look_seconds:
                self._take_over()
            self._move_all()
            if self._in_trouble:
                self._stop.wait(self._pace.retry_seconds)
                self._more.set()
        self._let_go()

    def _move_all(self) -> None:
        for file in [*self._left, *self._own]:
            if not self._try_to_move(file):
                return

    def _try_to_move(self, file: SpoolFile) -> bool:
        """May the next one follow?"""
        try:
            if not self._move(file):
                return False
            self._drop(file)
            self._in_trouble.discard(file.path)
        except Exception:  # whatever it is, the records in the other files must not wait for it
            self._complain(file.path)
            return not file.own  # but those keep their order
        return True

    def _move(self, file: SpoolFile) -> bool:
        """Hand over the whole lines: was it all of them, or did it have to stop?"""
        while lines := self._next(file):
            if not self._hand_over([item for line in lines if (item := decode(line))]):
                return False
            self._on_the_log(file, lines)
        return True

    def _next(self, file: SpoolFile) -> list[bytes]:
        with self._changing:  # beyond it may lie a part of a line that the disk did not take
            end = file.written
        return file.lines(end, self._pace.batch_bytes)

    def _on_the_log(self, file: SpoolFile, lines: list[bytes]) -> None:
        with self._changing:
            file.moved += sum(map(len, lines))
            if file.own:
                self._handed_over += len(lines)
                self._changing.notify_all()

    def _drop(self, file: SpoolFile) -> None:
        """What is on the log takes no room here."""
        with self._changing:
            if file.own and file.waiting:
                return  # more came
            if file is self._own[-1]:
                if file.written:
                    file.empty()
                return
            file.remove()
            (self._own if file.own else self._left).remove(file)

    def _let_go(self) -> None:
        for file in (*self._left, *self._own):
            if not file.waiting:
                with suppress(OSError):  # an empty file does no harm; the next run removes it
                    file.remove()
            file.handle.close()

    def _hand_over(self, items: list[Item]) -> bool:
        self._on_the_way_since = time.monotonic()
        try:
            return self._try_until_told(items)
        finally:
            self._on_the_way_since = None

    def _try_until_told(self, items: list[Item]) -> bool:
        while True:
            try:
                self._log.append_all(items)
                return True
            except LogAway as error:
                _log.warning("the log is away, %d records wait: %s", len(items), error)
            if self._stop.wait(self._pace.retry_seconds):
                return False
