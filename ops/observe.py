"""What was seen of stable and canary since the trial began: completions and scores from the log,
verdicts from the examples. Counts only what is new at each look; all it holds can be counted again.
"""

import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from feedback import examples
from feedback.events import NOT_LOADED, Completion, Score
from feedback.examples import Watermark
from feedback.log import COMPLETIONS, SCORES, Log, read_on
from ops import history
from ops.drift import Scores
from ops.guardrails import Limits
from ops.history import readable
from ops.ledger import Ledger, Word
from ops.refusal import refuses
from ops.seen import Arm, Newcomers, Observation, Queried, Side
from ops.served import Measure, Served, length_of
from ops.tally import Tally
from ops.trial import Rollout

_COLUMNS = (
    *("completion_id", "slot", "rater", "adapter", "split_revision", "retracted", "weight"),
    *("up", "value", "winner", "rival_adapter"),
)
_WINS = {"a": 1.0, "b": 0.0, "tie": 0.5, "both_bad": 0.5}  # of A
_OUTCOME = "outcome:"


Asked = Callable[[Rollout], Sequence[Queried]]


class Place(NamedTuple):
    """Where words are counted together."""

    of: str  # thumb, a, b (where the canary was shown), outcome:NAME or a measure
    adapter: str
    revision: int


@dataclass
class _Seen:
    """Where the last look ended, and what was found up to there."""

    rollout: Rollout
    slots: frozenset[str]  # whose words count
    offsets: dict[int, int]  # of completions
    scores_read: dict[int, int]
    watermark: Watermark
    scores: Scores = field(default_factory=Scores)
    ledger: Ledger = field(default_factory=Ledger)
    completions: Counter[str] = field(default_factory=Counter)
    served: dict[str, Served] = field(default_factory=lambda: defaultdict(Served))  # this step
    newcomers: Counter[tuple[int, str]] = field(default_factory=Counter)
    places: list[Place] = field(default_factory=list)
    numbers: dict[Place, int] = field(default_factory=dict)  # where each lies in `places`
    tallies: dict[Place, Tally] = field(default_factory=dict)

    def number(self, place: Place) -> int:
        if place not in self.numbers:
            self.numbers[place] = len(self.places)
            self.places.append(place)
        return self.numbers[place]


class Observer:
    def __init__(
        self,
        log: Log,
        folder: Path,
        refusals: re.Pattern[str],
        outcomes: Iterable[str] = (),
        slow_ratio: float = Limits.latency_ratio,
        queried: Asked = lambda _: (),
    ) -> None:
        """Of `outcomes` (`outcome:NAME`) alone: apps may send others, and of any number. What takes
        `slow_ratio` times as long as stable's 95th percentile is slow.
        """
        self._log, self._folder, self._refusals = log, folder, refusals
        self._slots = frozenset({"thumb", *outcomes})
        self._slow_ratio, self._queried = slow_ratio, queried
        self._seen: _Seen | None = None

    def look(self, rollout: Rollout) -> Observation:
        seen = self._of(rollout)
        try:
            with seen.ledger.open():
                self._count_completions(seen)
                self._count_words(seen)
                self._read_scores(seen)
        except (
            sqlite3.Error
        ):  # no room for its file: what it holds may be wrong, and is counted again
            seen.ledger.close()
            self._seen = None
            raise
        stable = rollout.first.stable
        drifts = seen.scores.drifts(rollout.canary, stable)
        scored, newest = seen.scores.of(rollout.canary, stable)
        return Observation(
            stable=_arm(seen, stable),
            canary=_arm(seen, rollout.canary),
            wins=_wins(seen),
            newcomers=_newcomers(seen),
            drifts=drifts,
            stable_drift=seen.scores.drifts(stable, stable).get("base"),
            scored=scored,
            score_seconds=(datetime.now(UTC) - newest).total_seconds() if newest else None,
            queried=self._queried(rollout),
        )

    def _of(self, rollout: Rollout) -> _Seen:
        if self._seen is None or self._seen.rollout.first != rollout.first:
            if self._seen:
                self._seen.ledger.close()
            since = history.since(self._log, rollout.canary)
            offsets, scores_read = _offsets(since, COMPLETIONS.name), _offsets(since, SCORES.name)
            self._seen = _Seen(rollout, self._slots, offsets, scores_read, since)
        if self._seen.rollout.step != rollout.step:
            self._seen.served.clear()
        self._seen.rollout = rollout
        return self._seen

    def _count_completions(self, seen: _Seen) -> None:
        records = read_on(self._log, COMPLETIONS.name, seen.offsets)
        for _, completion in readable(records, (Completion,)):
            if _on_trial(seen, completion.split_revision):
                self._count(seen, completion)

    def _count(self, seen: _Seen, one: Completion) -> None:
        # What was spooled may be on the log twice.
        if not seen.ledger.is_new("completion", one.id):
            return
        revision, name = one.split_revision or 0, one.adapter
        seen.completions[name] += 1
        if seen.ledger.is_new("user", one.user):
            seen.newcomers[revision, name] += 1
        if revision >= seen.rollout.step.revision:
            self._measure(seen, one)

    def _measure(self, seen: _Seen, one: Completion) -> None:
        """By user: whose requests are all long, or all fail, is one user."""
        served, step = seen.served[one.adapter], seen.rollout.step.revision
        served.completions += 1
        served.not_loaded += one.error is not None and one.error.startswith(NOT_LOADED)
        measured = self._measured(seen, one)
        places = {seen.number(Place(of, one.adapter, step)): of for of in measured}
        values = zip(places, measured.values(), strict=True)
        for change in seen.ledger.add(one.user, dict(values)):
            served.tell(places[change.place], change.before, change.after)
        if one.error is None:
            served.waits.add(one.total_seconds)

    def _measured(self, seen: _Seen, one: Completion) -> dict[Measure, float]:
        if one.error is not None:
            # A reader who hangs up is no fault of the adapter's.
            return {"error": one.error != "client closed"}
        refused = refuses(one.answer, one.finish_reason, self._refusals)
        tokens = len(one.answer_ids) if one.answer_tokens is None else one.answer_tokens
        found: dict[Measure, float] = {"error": 0, "refusal": refused, "length": length_of(tokens)}
        usual = seen.served[seen.rollout.first.stable].waits.usual
        if usual < inf:  # as far as it is known by now, for both arms alike
            found["slow"] = one.total_seconds > self._slow_ratio * usual
        return found

    def _count_words(self, seen: _Seen) -> None:
        for batch in examples.batches(self._folder, seen.watermark):
            for row in examples.some(batch, _COLUMNS):
                _hear(seen, row)
            seen.watermark |= batch.end

    def _read_scores(self, seen: _Seen) -> None:
        records = read_on(self._log, SCORES.name, seen.scores_read)
        for _, score in readable(records, (Score,)):
            if seen.ledger.is_new("score", score.completion_id, score.stable):
                seen.scores.add(score)


def _offsets(since: Watermark, topic: str) -> dict[int, int]:
    """Of this topic's partitions."""
    places = ((place.split("/"), at) for place, at in since.items())
    return {int(partition): at for (name, partition), at in places if name == topic}


def _hear(seen: _Seen, row: dict[str, Any]) -> None:
    """Count what a row says, in place of what the same user said there before."""
    word = None if row["retracted"] or row["weight"] <= 0 else _word(seen, row)
    identity = (row["completion_id"], row["slot"], row["rater"])
    for change in seen.ledger.say(identity, word):
        place = seen.places[change.place]
        before = seen.tallies.get(place, Tally())
        seen.tallies[place] = before.replaced(change.before, change.after)


def _word(seen: _Seen, row: dict[str, Any]) -> Word | None:
    found = _compared(seen, row) if row["slot"] == "comparison" else _rated(seen, row)
    if found is None:
        return None
    place, value = found
    return Word(seen.number(place), row["rater"], value)


def _rated(seen: _Seen, row: dict[str, Any]) -> tuple[Place, float] | None:
    slot, revision = row["slot"], row["split_revision"]
    value = row["up"] if slot == "thumb" else row["value"]
    if slot not in seen.slots or value is None or not _on_trial(seen, revision):
        return None
    return Place(slot, row["adapter"], revision), float(value)


def _compared(seen: _Seen, row: dict[str, Any]) -> tuple[Place, float] | None:
    """Names are never used twice: who compared these two did so in this trial."""
    stable, canary = seen.rollout.first.stable, seen.rollout.canary
    a, b = row["adapter"], row["rival_adapter"]
    if {a, b} != {stable, canary} or row["winner"] not in _WINS:
        return None
    a_wins = _WINS[row["winner"]]
    shown, value = ("a", a_wins) if a == canary else ("b", 1 - a_wins)
    return Place(shown, canary, seen.rollout.first.revision), value


def _on_trial(seen: _Seen, revision: int | None) -> bool:
    """Whether it was served by a split of this trial: both arms at the same time, by chance."""
    return revision is not None and revision >= seen.rollout.first.revision


def _arm(seen: _Seen, adapter: str) -> Arm:
    outcomes = dict[str, dict[int, Tally]]()
    for place, tally in seen.tallies.items():
        if place.adapter == adapter and tally.n:
            outcomes.setdefault(place.of, {})[place.revision] = tally
    return Arm(
        completions=seen.completions[adapter],
        step=seen.served[adapter],
        thumbs=outcomes.pop("thumb", {}),
        outcomes={
            name.removeprefix(_OUTCOME): found
            for name, found in outcomes.items()
            if name.startswith(_OUTCOME)
        },
    )


def _wins(seen: _Seen) -> dict[Side, Tally]:
    of: dict[str, Side] = {"a": "a", "b": "b"}
    return {of[place.of]: tally for place, tally in seen.tallies.items() if place.of in of}


def _newcomers(seen: _Seen) -> list[Newcomers]:
    stable, canary, shares = seen.rollout.first.stable, seen.rollout.canary, seen.rollout.shares
    return [
        Newcomers(share, seen.newcomers[revision, canary], seen.newcomers[revision, stable])
        for revision, share in shares.items()
    ]
