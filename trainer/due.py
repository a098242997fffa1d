"""When to start a round. Pure."""

from dataclasses import dataclass

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


def due(rules: Rules, standing: Standing) -> str | None:
    """Why a round should start now; None: it should not."""
    if standing.canary is not None:
        return None  # its trial decides what the next round builds on
    if standing.untried and standing.waited_seconds < TRIAL_STARTS_SECONDS:
        return None
    if standing.new >= rules.min_examples:
        return f"{standing.new} new {rules.lessons}"
    waited = standing.waited_seconds
    if waited >= rules.interval_seconds and standing.new >= rules.min_rows:
        return f"{standing.new} new {rules.lessons} after {waited:.0f} s"
    return None
