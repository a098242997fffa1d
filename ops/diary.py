"""What was decided at each tick, put on the log: what is as it was leaves nothing."""

import re
from datetime import UTC, datetime

from feedback.events import encode
from feedback.log import DECISIONS, Log
from ops.act import reached
from ops.decide import Decision, Hold, Promote, Start, Step, Trial, Withdraw
from ops.move import Decided, Look

_WORDS: dict[type[Decision], Decided] = {
    Hold: "hold",
    Start: "start",
    Step: "step",
    Promote: "promote",
    Withdraw: "withdraw",
}


class Diary:
    def __init__(self, log: Log, by: str) -> None:
        self._log, self._by = log, by
        self._last: object = None

    def write(self, now: Trial, decision: Decision, told: dict[str, float]) -> None:
        adapter = decision.adapter if isinstance(decision, Start) else now.split.canary
        why = re.sub(r"[\d.]+", "", decision.reason)  # without the seconds that go by
        this = (type(decision), adapter, now.split.revision, told, why)
        if this == self._last:
            return
        look = Look(
            at=datetime.now(UTC),
            decision=_WORDS[type(decision)],
            adapter=adapter,
            split_revision=now.split.revision,
            reason=decision.reason,
            by=self._by,
            seen=told,
            since=reached(self._log) if isinstance(decision, Start) else {},
        )
        self._log.append(DECISIONS.name, adapter or "none", encode(look))
        self._last = this
