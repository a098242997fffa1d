"""Every rule that can move traffic, on one page. Pure.

What each guardrail is lies in `guardrails.py`, what the users' verdicts are worth in `weigh.py`.
"""

from dataclasses import dataclass, field
from typing import Literal

from ops.guardrails import Limits, crossed, unknown
from ops.seen import Observation
from ops.weigh import THUMBS, Evidence, Finding, findings, numbers
from serving.split import Split

Goal = Literal["better", "no_worse"]


@dataclass(frozen=True)
class Rules:
    """What a canary must show, and how long it may take."""

    steps_percent: tuple[float, ...] = (1.0, 5.0, 25.0, 50.0)
    min_seconds: float = 600.0
    min_completions: int = 50
    min_verdicts: int = 5
    evidence: tuple[Evidence, ...] = (THUMBS, Evidence("comparisons"))
    goal: Goal = "better"
    alpha: float = 0.05
    min_gain: float = 0.01  # where it must be better: what cannot be is not worth its trial
    margin: float = 0.02  # where it need be no worse: so much worse is none
    deadline_seconds: float = 7 * 86400.0
    limits: Limits = field(default_factory=Limits)

    @property
    def worse_gain(self) -> float:
        """A gain that is surely below this is worse."""
        return -self.margin if self.goal == "no_worse" else 0.0


@dataclass(frozen=True)
class Trial:
    """Where things stand: the split, who waits, and how long this has gone on."""

    split: Split
    waiting: str | None  # the adapter that may go on trial next
    seconds: float  # since the canary got its first share
    step_seconds: float  # since it got the share it has


@dataclass(frozen=True)
class Decision:
    reason: str


class Hold(Decision):
    """Nothing moves."""


@dataclass(frozen=True)
class Start(Decision):
    adapter: str
    share_percent: float


@dataclass(frozen=True)
class Step(Decision):
    share_percent: float


class Promote(Decision):
    """The canary becomes stable."""


class Withdraw(Decision):
    """The canary gets no more traffic. The reason begins with what it failed."""


def decide(rules: Rules, trial: Trial, seen: Observation | None) -> Decision:
    split = trial.split
    if split.pinned:
        return Hold(f"paused at revision {split.revision}: {split.reason}")
    if split.canary is None:
        return _begin(rules, trial)
    if seen is None:
        return Hold("no data: blind is not healthy")
    return _judge(rules, trial, seen)


def _begin(rules: Rules, trial: Trial) -> Decision:
    if trial.waiting is None:
        return Hold("no adapter waits")
    share = rules.steps_percent[0]
    return Start(f"{trial.waiting} passed its gates", trial.waiting, share)


def _judge(rules: Rules, trial: Trial, seen: Observation) -> Decision:
    for guardrail, told in crossed(rules.limits, seen):
        return Withdraw(f"{guardrail}: {told}")
    found = findings(rules.evidence, rules.alpha, seen)
    for one in found:
        if one.gain.high < rules.worse_gain:
            return Withdraw(f"worse: {one}")
    told = numbers(found)
    heard = [one for one in found if one.verdicts or one is found[0]]
    if rules.goal == "better" and all(one.gain.high < rules.min_gain for one in heard):
        return Withdraw(f"futile: cannot gain {rules.min_gain:g}: {told}")
    if trial.seconds > rules.deadline_seconds:
        return Withdraw(f"futile: not promoted after {trial.seconds:.0f} s: {told}")
    return _advance(rules, trial, seen, found)


def _advance(rules: Rules, trial: Trial, seen: Observation, found: list[Finding]) -> Decision:
    told = numbers(found)
    if trial.step_seconds < rules.min_seconds:
        return Hold(f"{trial.step_seconds:.0f} of {rules.min_seconds:.0f} s at this share; {told}")
    if (done := seen.canary.step.completions) < rules.min_completions:
        return Hold(f"{done} of {rules.min_completions} completions at this share; {told}")
    for what in unknown(rules.limits, seen):
        return Hold(f"{what}: blind is not healthy; {told}")
    later = [s for s in rules.steps_percent if s > trial.split.share_percent]
    if not later:
        return _end(rules, found)
    first = found[0]
    if first.verdicts < rules.min_verdicts or first.gain.estimate < 0:
        return Hold(f"no sign yet that it is not worse: {told}")
    return Step(f"not worse so far: {told}", later[0])


def _end(rules: Rules, found: list[Finding]) -> Decision:
    told = numbers(found)
    if any(one.gain.low > 0 for one in found):
        return Promote(f"better: {told}")
    if rules.goal == "no_worse" and found[0].gain.low > -rules.margin:
        return Promote(f"no worse by {rules.margin:g}: {told}")
    missing = "better" if rules.goal == "better" else f"known to be within {rules.margin:g}"
    return Hold(f"not yet {missing}: {told}")
