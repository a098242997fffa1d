"""The story of the ops room: read once, observe, decide, act, record.

It holds no state of its own: killed at any moment, the next tick goes on from what is on the log.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from feedback.log import Log
from ops import alarm, history, marks
from ops.act import CannotLoad, change_split, first_split
from ops.decide import Decision, Hold, Promote, Rules, Start, Step, Trial, Withdraw, decide
from ops.diary import Diary
from ops.metrics import Metrics
from ops.move import Move
from ops.numbers import numbers
from ops.observe import Observer
from ops.trial import done, rollout, trial, unrecorded
from ops.weigh import findings
from serving.split import Split
from trainer.adapters import AdapterError, Manifest, Shelf, series_of, verify

BY = "ops"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """What a controller needs of the world."""

    log: Log
    adapters: Path
    name: str  # of the adapters' series
    observer: Observer
    warm: Callable[[str], None]  # every engine answers as this adapter, or it raises
    leads: Callable[[], bool]
    metrics: Metrics


class Controller:
    def __init__(self, parts: Parts, rules: Rules) -> None:
        self._parts, self._rules, self._log = parts, rules, parts.log
        self._past = history.Past(parts.log, bad=history.PutAside(parts.log))
        self._shelf = Shelf(parts.adapters)
        self._diary = Diary(parts.log, BY)
        self._passed_over = set[str]()  # of another series
        self._recorded = 0  # splits whose moves are known to be in the history
        self._counted: int | None = None  # moves, in the metrics

    def tick(self) -> Decision:
        if not self._parts.leads():
            return self._stand_by()
        splits = self._past.splits() or [first_split(self._log)]
        moves = self._past.moves()
        for one in unrecorded(splits[self._recorded :], moves):
            marks.follow(self._parts.adapters, splits, one.split)
            history.record(self._log, *one, one.split.reason)
        self._recorded = len(splits) - 1
        self._count(moves)
        now = trial(splits, moves, self._mine(), datetime.now(UTC))
        current = rollout(splits)
        seen = self._parts.observer.look(current) if current else None
        decision = decide(self._rules, now, seen)
        if not isinstance(decision, Hold) and not self._parts.leads():
            return self._stand_by()  # to look took longer than a lease lasts
        found = findings(self._rules.evidence, self._rules.alpha, seen) if seen else []
        told = numbers(seen, found)
        self._diary.write(now, decision, told)
        self._parts.metrics.ticked(now.split, decision, seen, found, self._rules)
        self._act(now, decision)
        return decision

    def _mine(self) -> list[Manifest]:
        mine = list[Manifest]()
        for one in self._shelf.adapters():
            if series_of(one.name) == self._parts.name:
                mine.append(one)
            elif one.name not in self._passed_over:
                _log.warning("%s is not tried: expected %s-vNUMBER", one.name, self._parts.name)
                self._passed_over.add(one.name)
        return mine

    def _stand_by(self) -> Hold:
        self._parts.metrics.stood_by()
        self._counted = None  # who leads counts
        return Hold("another controller leads")

    def _count(self, moves: list[Move]) -> None:
        """Whoever made them; those alone that came since this one leads."""
        for move in moves[len(moves) if self._counted is None else self._counted :]:
            self._parts.metrics.moved(move.action, by_hand=move.by not in (BY, alarm.BY))
        self._counted = len(moves)

    def _act(self, now: Trial, decision: Decision) -> None:
        match decision:
            case Hold():
                return
            case Start():
                self._start(now.split, decision)
            case Step(share_percent=share):
                self._move(now.split, decision, share_percent=share)
            case Promote():
                changes = {"stable": now.split.canary, "canary": None, "share_percent": 0.0}
                self._move(now.split, decision, **changes)
            case Withdraw():
                changes = {"canary": None, "share_percent": 0.0}
                self._move(now.split, decision, **changes)

    def _start(self, split: Split, start: Start) -> None:
        """Traffic only for an adapter that is whole and that every engine has answered with."""
        fault = self._fault(start.adapter)
        if not self._parts.leads():  # an engine may take longer to answer than a lease lasts
            return
        if fault:
            history.record(self._log, "refused", start.adapter, split, fault, BY)
            return
        self._move(
            split,
            start,
            canary=start.adapter,
            share_percent=start.share_percent,
            salt=start.adapter,  # so that other users try each canary
        )

    def _fault(self, adapter: str) -> str | None:
        try:
            verify(self._parts.adapters, adapter)
            self._parts.warm(adapter)
        except (AdapterError, CannotLoad) as error:
            return str(error)
        return None

    def _move(self, split: Split, decision: Decision, **changes: object) -> None:
        after = change_split(self._log, split, decision.reason, BY, **changes)
        marks.follow(self._parts.adapters, [split, after], after)
        for one in done(split, after):
            history.record(self._log, *one, decision.reason)
