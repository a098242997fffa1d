"""Where engines fetch from an address: the adapters folder is copied there, and its marks.

It holds no state that matters: whoever leads looks at what is there and goes on.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ops.act import CannotLoad
from ops.metrics import Metrics
from serving.store import Store, StoreAway
from trainer.adapters import AdapterError, Manifest, Shelf, UnknownAdapter, is_mark

LOOK_SECONDS = 1.0
AGAIN_SECONDS = 5.0  # after the store did not answer
_log = logging.getLogger(__name__)


class AnotherOne(AdapterError):
    """The address has an adapter of this name already, which is not ours."""


@dataclass
class Copies:
    adapters: Path
    to: Store
    leads: Callable[[], bool]
    metrics: Metrics
    _copied: set[str] = field(default_factory=set, init=False)
    _faults: dict[str, str] = field(default_factory=dict, init=False)
    _marks: dict[str, bytes] | None = field(default=None, init=False)  # None: to be looked at

    def __post_init__(self) -> None:
        self._shelf = Shelf(self.adapters)

    def run(self, stop: threading.Event) -> None:
        """Beside the controller, in a thread of its own: to send an adapter takes a while."""
        wait = LOOK_SECONDS
        while not stop.wait(wait):
            wait = LOOK_SECONDS
            try:
                self.look()
            except StoreAway as error:
                _log.warning("adapters are not copied, and it is tried again: %s", error)
                wait = AGAIN_SECONDS
            except Exception:  # the next one must be copied, whatever is wrong with this one
                _log.exception("adapters are not copied, and it is tried again")
                wait = AGAIN_SECONDS

    def look(self) -> None:
        if not self.leads():
            self._marks = None  # whoever leads may change them
            return
        marks = {
            path.name: path.read_bytes() for path in self.adapters.glob("*") if is_mark(path.name)
        }
        left = [one for one in self._shelf.adapters() if one.name not in self._copied]
        self._tell(left, marks)
        try:
            self._mark(marks)  # before what takes a while: a mark says that users are harmed
            for manifest in reversed(left):  # the newest first: users wait for it
                self._copy(manifest)
        finally:
            self._tell(left, marks)

    def expect(self, adapter: str) -> None:
        """Raises while engines cannot fetch it."""
        if fault := self._faults.get(adapter):
            raise CannotLoad(fault)
        if adapter not in self._copied:
            raise ConnectionError(f"{adapter} is still being copied to where engines fetch it")

    def _tell(self, left: list[Manifest], marks: dict[str, bytes]) -> None:
        waiting = {one.name for one in left} - self._copied
        self.metrics.to_copy(len(waiting) + len(marks.items() ^ (self._marks or {}).items()))

    def _mark(self, marks: dict[str, bytes]) -> None:
        if self._marks is None:
            for name in self.to.marked() - marks.keys():
                self.to.unmark(name)
            self._marks = {}
        for name, raw in marks.items():
            if self._marks.get(name) != raw:
                self.to.mark(name, raw)
                self._marks[name] = raw
        for name in self._marks.keys() - marks.keys():
            self.to.unmark(name)
            del self._marks[name]

    def _copy(self, manifest: Manifest) -> None:
        try:
            self._send(manifest)
        except (AdapterError, FileNotFoundError) as error:
            if self._faults.get(manifest.name) != str(error):
                _log.error("%s is not copied: %s", manifest.name, error)
            self._faults[manifest.name] = str(error)
        else:
            self._faults.pop(manifest.name, None)
            self._copied.add(manifest.name)

    def _send(self, manifest: Manifest) -> None:
        try:
            there = self.to.manifest(manifest.name)
        except UnknownAdapter:
            self.to.publish(self.adapters / manifest.name, manifest)
            _log.info("%s is copied to where engines fetch it", manifest.name)
            return
        if there != manifest:
            raise AnotherOne(
                f"where engines fetch adapters is another {manifest.name}, "
                f"of {there.created_at:%Y-%m-%d}; expected a place of this installation's own"
            )
