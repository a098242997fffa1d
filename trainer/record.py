"""The only file that knows how the trainer's state folder tells of rounds, those under way too.

`rounds.json` is what was; each round under way has a file of its own, with news every few seconds.
One that is silent was killed: whoever reads counts it as dead, whoever writes next keeps that.
"""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple
from uuid import uuid4

from pydantic import ValidationError

from feedback.disk import sync
from feedback.events import first_complaint
from trainer.past import SILENT_SECONDS, Ended, Past, UnderWay, death_of

BEAT_SECONDS = 5.0
_log = logging.getLogger("trainer")


class Seen(NamedTuple):
    past: Past
    under_way: UnderWay | None
    waiting: int | None  # examples that no round has used, where somebody has looked


class Record:
    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / "rounds.json"
        self._waiting = folder / "waiting"

    def seen(self) -> Seen:
        """All there is to tell now. Changes nothing."""
        with self._unchanged():
            past, found = self._past(), dict(self._rounds())
        silent = {path for path, one in found.items() if _is_silent(one)}
        for path in silent:
            past = past.after(death_of(found[path]))
        alive = [one for path, one in found.items() if path not in silent]
        newest = max(alive, key=lambda one: one.told_at, default=None)
        return Seen(past, newest, self._read_waiting())

    def begin(self) -> Past:
        """From now on something is known: at least since when."""
        with self._alone():
            past = self._past()
            if not self._path.exists():
                self._write(past)
            return past

    def ended(self, ended: Ended) -> None:
        self._change(lambda past: past.after(ended))

    def tracker_failed(self, tracker: str) -> None:
        self._change(lambda past: past.after_failure_of(tracker))

    def waits(self, examples: int) -> None:
        if self._read_waiting() != examples:
            _replace(self._waiting, str(examples))

    @contextmanager
    def under_way(self, look: Callable[[], UnderWay | None]) -> Iterator[Callable[[Ended], None]]:
        """Meanwhile a thread tells how the round goes on; nothing while `look` gives none.

        What it gives ends the round: at any moment it is under way, or counted.
        """
        path, stop = self._folder / f"round-{uuid4().hex}.json", Event()
        thread = Thread(target=_tell, args=(path, look, stop), daemon=True)
        thread.start()

        def fall_silent() -> None:
            stop.set()
            thread.join()

        def end(ended: Ended) -> None:
            fall_silent()
            self._change(lambda past: past.after(ended), path)

        try:
            yield end
        finally:
            fall_silent()
            path.unlink(missing_ok=True)

    def _change(self, change: Callable[[Past], Past], *over: Path) -> None:
        """`over`: files of rounds that the change counts."""
        with self._alone():
            past, counted = self._past(), list(over)
            for path, one in self._rounds():
                if path not in over and _is_silent(one):
                    past = past.after(death_of(one))
                    counted.append(path)
            self._write(change(past))
            for path in counted:
                path.unlink(missing_ok=True)

    def _past(self) -> Past:
        if not self._path.exists():
            return Past(since=datetime.now(UTC))
        try:
            return Past.model_validate_json(self._path.read_bytes())
        except ValidationError as error:
            _log.warning("%s is left out: %s", self._path, first_complaint(error))
            return Past(since=datetime.now(UTC))

    def _rounds(self) -> Iterator[tuple[Path, UnderWay]]:
        for path in self._folder.glob("round-*.json"):
            try:
                yield path, UnderWay.model_validate_json(path.read_bytes())
            except (FileNotFoundError, ValidationError):
                continue  # it has just ended, or is of another version

    def _read_waiting(self) -> int | None:
        try:
            return int(self._waiting.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def _write(self, past: Past) -> None:
        _replace(self._path, past.model_dump_json(indent=2))
        sync(self._folder)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """For the moment of a change: a round is counted once, whoever else ends one."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "rounds.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        """For the moment of a look: half of a change would count a death twice."""
        try:
            file = (self._folder / "rounds.lock").open()
        except FileNotFoundError:  # nobody has ever changed anything
            yield
            return
        with file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield


def _tell(path: Path, look: Callable[[], UnderWay | None], stop: Event) -> None:
    while True:
        pause = BEAT_SECONDS
        try:
            if news := look():
                _replace(path, news.model_dump_json())
            else:
                pause = 0.05
        except Exception as error:  # a thread that ends would make a living round a dead one
            _log.warning("how the round goes on cannot be told now", exc_info=error)
        if stop.wait(pause):
            return


def _is_silent(one: UnderWay) -> bool:
    return one.silent_seconds(datetime.now(UTC)) > SILENT_SECONDS


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f"{path.name}.{uuid4().hex}.tmp")
    try:
        with draft.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
