"""The story of the release: what Helm says and what serves are kept the same.

A promotion becomes a revision of the release; a release that a person changed moves the split.
Every release is met once, and what came of it is on the log: whoever leads goes on from there.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Protocol

from feedback.events import encode
from feedback.log import RELEASES, Log, LogAway
from ops import by_hand, history
from ops.account import KubernetesError
from ops.act import SplitContended
from ops.declared import CannotTell, Declared, Due, Outcome, Release, due
from ops.metrics import Metrics
from serving.split import Split
from trainer.adapters import AdapterError

BY = "helm"
LOOK_SECONDS = 1.0
AGAIN_SECONDS = 30.0  # after something could not be told
_KEY = "release"
_log = logging.getLogger(__name__)


class Tells(Protocol):
    def tell(self, split: Split, why: str) -> None:
        """Have the release say what serves; raises CannotTell."""


@dataclass
class Releases:
    log: Log
    adapters: Path
    declared: Callable[[], Declared | None]  # None: there is no release yet
    teller: Tells
    leads: Callable[[], bool]
    metrics: Metrics
    each_look: bool = False  # told again at each, as a file that others read
    clock: Callable[[], float] = time.monotonic
    _past: history.Past = field(init=False)
    _not_before: float = field(default=0.0, init=False)
    _complaint: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self._past = history.Past(self.log)

    def run(self, stop: threading.Event) -> None:
        """Beside the controller, in a thread of its own: Helm takes seconds."""
        while not stop.wait(LOOK_SECONDS):
            try:
                self.look()
            except (LogAway, SplitContended) as error:
                _log.warning("the release is looked at again: %s", error)
            except Exception:  # roll-backs must be heard again, whatever is wrong with this one
                self.metrics.not_told()
                _log.exception("the release is looked at again")

    def look(self) -> None:
        if not self.leads() or not (splits := self._past.splits()):
            return
        try:
            declared = self.declared()
        except (KubernetesError, ValueError) as error:
            self._cannot(str(error))
            return
        self._meet(declared, splits)

    def _meet(self, declared: Declared | None, splits: list[Split]) -> None:
        met = self._past.releases()
        last = met[-1] if met else None
        if declared is None:
            self._tell(splits, last)
            return
        told = declared.stable == splits[-1].stable
        self.metrics.release(declared.revision, told=told)
        what = due(declared, met, splits)
        if what is Due.SEE:
            self._note(declared, "seen", what.value)
        elif what is Due.OBEY:
            self._obey(declared)
        elif what is Due.TELL or self.each_look:
            self._tell(splits, last)
        elif told:
            self._complaint = ""

    def _obey(self, declared: Declared) -> None:
        """As a person's roll-back: automation pauses, and training goes on from who serves."""
        reason = f"the release says {declared.stable}, as of its revision {declared.revision}"
        try:
            by_hand.roll_back(self.log, self.adapters, BY, declared.stable, reason)
        except (by_hand.NothingToDo, AdapterError) as error:
            _log.warning("%s, which is refused: %s", reason, error)
            self._note(declared, "refused", str(error))
        else:
            _log.warning("%s, and so it is", reason)
            self._note(declared, "obeyed", reason)

    def _tell(self, splits: list[Split], last: Release | None) -> None:
        """As of the split that made it stable: whatever became of a canary since is no news."""
        split = since_when(splits)
        why = f"{split.stable}: {split.reason} (split {split.revision}, by {split.by})"
        if last and last.outcome == "refused":
            why = f"{last.stable} was refused: {last.reason}; {why}"
        if self.clock() < self._not_before or not self.leads():
            return
        try:
            self.teller.tell(split, why)
            now = self.declared()
        except (CannotTell, KubernetesError, ValueError) as error:
            self._not_before = self.clock() + AGAIN_SECONDS
            self._cannot(str(error))
            return
        # At once: who takes it back a moment later has changed what was met.
        is_told = now is not None and (now.stable, now.split) == (split.stable, split.revision)
        if now and is_told and (last is None or now != last.declared):
            self._note(now, "seen", "told")

    def _cannot(self, complaint: str) -> None:
        """All goes on serving, and it is tried again."""
        self.metrics.not_told()
        if complaint != self._complaint:
            _log.warning("the release and what serves may differ: %s", complaint)
        self._complaint = complaint

    def _note(self, declared: Declared, outcome: Outcome, reason: str) -> None:
        told = declared.model_dump()
        release = Release(at=datetime.now(UTC), outcome=outcome, reason=reason, **told)
        self.log.append(RELEASES.name, _KEY, encode(release))


def since_when(splits: list[Split]) -> Split:
    """The one with which the present stable began to serve."""
    same = takewhile(lambda one: one.stable == splits[-1].stable, reversed(splits))
    return list(same)[-1]
