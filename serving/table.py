"""The split in force, followed on the log by a thread.

Keeps the last good one when the log goes away, or holds nonsense.
"""

import logging
import threading
from datetime import UTC, datetime

from feedback.events import BadEvent
from feedback.log import SPLIT, Log, LogAway, Record, follow
from serving.errors import NoSplit
from serving.split import Split, decode_split, newest

RETRY_SECONDS = 0.5
_log = logging.getLogger(__name__)


class Table:
    """`first_stable` serves from the moment that the log is read and holds no split at all."""

    def __init__(self, log: Log, first_stable: str | None = None) -> None:
        self._log = log
        self._first_stable = first_stable
        self._split: Split | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="split", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def current(self) -> Split:
        split = self._split  # once: the thread may replace it at any time
        if split is None:
            raise NoSplit("no split is known yet; one is expected on the log")
        return split

    def revision(self) -> int:
        return self._split.revision if self._split else 0

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except LogAway as error:
                _log.warning("the log is away, the split stays as it is: %s", error)
            except ValueError as error:  # it was away before, so nothing was served yet
                _log.error("the log is refused; nothing is served until it is mended: %s", error)
            self._stop.wait(RETRY_SECONDS)

    def _follow(self) -> None:
        """From the first record, each time: an older revision never replaces a newer one."""
        for record in follow(self._log, SPLIT.name):
            if self._stop.is_set():
                return
            if record is not None:
                self._take(record)
            elif self._split is None and self._first_stable:
                self._split = _before_any(self._first_stable)

    def _take(self, record: Record) -> None:
        try:
            split = decode_split(record.value)
        except BadEvent as error:
            _log.error("split at %s is left out: %s", record.position, error)
            return
        if newest([split], self._split) is split:
            _log.info("split %d: %s", split.revision, split.reason)
            self._split = split


def _before_any(stable: str) -> Split:
    # Revision 0 comes before all that the log can hold: the door lets nobody write it there.
    return Split.model_construct(
        at=datetime.now(UTC), revision=0, stable=stable, reason="the first", by="settings"
    )
