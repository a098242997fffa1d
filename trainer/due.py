"""When to start a round. Pure."""

from dataclasses import dataclass
from math import inf
from typing import NamedTuple

# ops looks for new adapters every second and asks the engine for an answer before a trial. What has
# not been tried by now was refused, or waits while the roll-out is paused.
TRIAL_STARTS_SECONDS = 60.0


@dataclass(frozen=True)
class Rules:
    min_examples: int  # so many new lessons start a round at once
    min_rows: int  # so many are enough once the interval has passed
    interval_seconds: float
    lessons: str = "thumbs"  # what they are


@dataclass(frozen=True)
class Standing:
    canary: str | None
    untried: bool  # the newest adapter may still get its trial
    new: int  # lessons in the stable adapter's answers, beyond the data of the newest adapter
    waited_seconds: float  # since the newest adapter was published
    fruitless: int = 0  # so many waited when the last round made no adapter of them
    rested_seconds: float = inf  # since then


class Verdict(NamedTuple):
    """Whether a round should start now, and why or why not."""

    is_due: bool
    why: str


def due(rules: Rules, standing: Standing) -> Verdict:
    waited, new = standing.waited_seconds, f"{standing.new} new {rules.lessons}"
    if standing.canary is not None:  # its trial decides what the next round builds on
        return Verdict(False, f"{standing.canary} is on trial")
    if standing.untried and waited < TRIAL_STARTS_SECONDS:
        return Verdict(False, "the newest adapter waits for its trial")
    if standing.new <= standing.fruitless and standing.rested_seconds < rules.interval_seconds:
        return Verdict(False, f"{new}, of which a round made nothing; expected more")
    if standing.new >= rules.min_examples:
        return Verdict(True, new)
    if standing.new < rules.min_rows:
        return Verdict(False, f"{new}; expected at least {rules.min_rows}")
    if waited >= rules.interval_seconds:
        return Verdict(True, f"{new} after {waited:.0f} s")
    expected = f"{rules.min_examples}, or {rules.min_rows} after {rules.interval_seconds:.0f} s"
    return Verdict(False, f"{new} after {waited:.0f} s; expected {expected}")
