"""Where engines fetch adapters from an address: what is published in the folder is copied there.

It holds no state that matters: whoever leads looks at what is there and goes on.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from feedback.log import LogAway
from ops.act import CannotLoad
from ops.metrics import Metrics
from serving.store import Store
from trainer.adapters import AdapterError, CorruptAdapter, Manifest, Shelf, UnknownAdapter

_log = logging.getLogger(__name__)


@dataclass
class Copies:
    adapters: Path
    to: Store
    leads: Callable[[], bool]
    served: Callable[[], set[str]]
    metrics: Metrics
    look_seconds: float = 1.0
    again_seconds: float = 5.0  # after something did not answer
    _copied: set[str] = field(default_factory=set, init=False)
    _faults: dict[str, str] = field(default_factory=dict, init=False)
    _tries: Counter[str] = field(default_factory=Counter, init=False)

    def __post_init__(self) -> None:
        self._shelf = Shelf(self.adapters)

    def run(self, stop: threading.Event) -> None:
        """Beside the controller, in a thread of its own: to send an adapter takes a while."""
        wait = self.look_seconds
        while not stop.wait(wait):
            try:
                wait = 0.0 if self.look() else self.look_seconds
            except (LogAway, OSError) as error:  # of the store, or of the folder
                _log.warning("adapters are not copied, and it is tried again: %s", error)
                wait = self.again_seconds

    def look(self) -> bool:
        """Copies one, those first that users get; whether it did."""
        if not self.leads():
            self.metrics.to_copy(0)
            return False
        left = [one for one in self._shelf.adapters() if one.name not in self._copied]
        self.metrics.to_copy(len(left))
        if not left:
            return False
        served = self.served()
        # One that the store will not take does not hold up the others.
        one = min(reversed(left), key=lambda one: (self._tries[one.name], one.name not in served))
        self._tries[one.name] += 1
        self._copy(one)
        return one.name in self._copied

    def expect(self, adapter: str) -> None:
        """Raises while engines cannot fetch it."""
        if fault := self._faults.get(adapter):
            raise CannotLoad(fault)
        if adapter not in self._copied:
            raise ConnectionError(f"{adapter} is still being copied to where engines fetch it")

    def _copy(self, manifest: Manifest) -> None:
        try:
            self._send(manifest)
        except AdapterError as error:
            if self._faults.get(manifest.name) != str(error):
                _log.error("%s is not copied: %s", manifest.name, error)
            self._faults[manifest.name] = str(error)
        else:
            self._faults.pop(manifest.name, None)
            self._copied.add(manifest.name)

    def _send(self, manifest: Manifest) -> None:
        try:
            there = self.to.manifest(manifest.name)
        except (UnknownAdapter, CorruptAdapter):  # half written, where a writer was killed
            self.to.publish(self.adapters / manifest.name, manifest)
            _log.info("%s is copied to where engines fetch it", manifest.name)
            return
        if there != manifest:
            raise AdapterError(
                f"where engines fetch adapters is another {manifest.name}, "
                f"of {there.created_at:%Y-%m-%d}; expected a place of this installation's own"
            )
