"""The story of the ops room: read once, observe, decide, act, record.

It holds no state of its own: killed at any moment, the next tick goes on from what is on the log.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from feedback.log import Log
from ops import history, marks
from ops.act import CannotLoad, change_split, first_split
from ops.decide import (
    Decision,
    Hold,
    Observation,
    Promote,
    Rules,
    Start,
    Step,
    Trial,
    Withdraw,
    decide,
)
from ops.metrics import Metrics
from ops.move import Action
from ops.observe import Observer
from ops.trial import Rollout, rollout, trial, unrecorded
from serving.split import Split
from trainer.adapters import AdapterError, published, verify

BY = "ops"


class Controller:
    def __init__(
        self,
        log: Log,
        adapters: Path,
        *,
        rules: Rules,
        observer: Observer,
        warm: Callable[[str], None],
        metrics: Metrics,
    ) -> None:
        self._log, self._adapters, self._rules = log, adapters, rules
        self._observer, self._warm, self._metrics = observer, warm, metrics
        self._put_aside = history.PutAside(log)

    def tick(self) -> Decision:
        first_split(self._log)
        splits = history.splits(self._log, bad=self._put_aside)
        moves = history.moves(self._log, bad=self._put_aside)
        for done in unrecorded(splits, moves):
            marks.follow(self._adapters, splits, done.split)
            history.record(self._log, *done, done.split.reason)
        now = trial(splits, moves, published(self._adapters), datetime.now(UTC))
        seen = self._observe(rollout(splits))
        decision = decide(self._rules, now, seen)
        self._act(now, decision)
        self._metrics.ticked(now.split, decision, seen)
        return decision

    def _observe(self, current: Rollout | None) -> Observation | None:
        return self._observer.look(current) if current else None

    def _act(self, now: Trial, decision: Decision) -> None:
        match decision:
            case Hold():
                return
            case Start():
                self._start(now.split, decision)
            case Step(share_percent=share):
                self._move(now.split, "stepped", decision, share_percent=share)
            case Promote():
                canary = now.split.canary
                self._move(
                    now.split, "promoted", decision, stable=canary, canary=None, share_percent=0.0
                )
            case Withdraw():
                self._move(now.split, "withdrawn", decision, canary=None, share_percent=0.0)

    def _start(self, split: Split, start: Start) -> None:
        """Traffic only for an adapter that is whole and that the engine has answered with."""
        try:
            verify(self._adapters, start.adapter)
            self._warm(start.adapter)
        except (AdapterError, CannotLoad) as error:
            history.record(self._log, "refused", start.adapter, split, str(error))
            return
        self._move(
            split,
            "started",
            start,
            canary=start.adapter,
            share_percent=start.share_percent,
            salt=start.adapter,  # so that other users try each canary
        )

    def _move(self, split: Split, action: Action, decision: Decision, **changes: object) -> None:
        after = change_split(self._log, split, decision.reason, BY, **changes)
        marks.follow(self._adapters, [split, after], after)
        adapter = after.canary or split.canary
        assert adapter is not None  # only a canary moves
        history.record(self._log, action, adapter, after, decision.reason)
