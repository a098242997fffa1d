"""What was seen of a canary's trial, as the rules read it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from ops.drift import Drift
from ops.evidence import Pair
from ops.served import Served
from ops.tally import Tally

Side = Literal["a", "b"]


@dataclass(frozen=True)
class Arm:
    """Stable, or the canary, since the trial began.

    What goes wrong comes in bursts that spare no arm. It is compared within one step only, while
    the shares stay as they are: else the arm that grew would look like the cause.
    """

    completions: int = 0
    step: Served = field(default_factory=Served)
    thumbs: Mapping[int, Tally] = field(default_factory=dict)  # by revision of the split
    outcomes: Mapping[str, Mapping[int, Tally]] = field(default_factory=dict)  # by name

    @property
    def rated(self) -> Tally:
        return sum(self.thumbs.values(), Tally())


class Newcomers(NamedTuple):
    """Users who were first seen under one revision, and whom it gave to which arm."""

    share: float  # of the canary, as the revision said
    canary: int
    stable: int


class Queried(NamedTuple):
    """What Prometheus says of a guardrail that operators named; None: it cannot say."""

    name: str
    value: float | None
    most: float
    why: str = "it says nothing"  # where it cannot say


@dataclass(frozen=True)
class Observation:
    stable: Arm = Arm()
    canary: Arm = Arm()
    wins: Mapping[Side, Tally] = field(default_factory=dict)  # the canary's, by where it was shown
    newcomers: Sequence[Newcomers] = ()
    drifts: Mapping[str, Drift] = field(default_factory=dict)  # of the canary, to stable and base
    stable_drift: Drift | None = None  # to base: what is usual
    scored: int = 0  # of the canary's answers, against this stable
    score_seconds: float | None = None  # since the newest of the canary's scores
    queried: Sequence[Queried] = ()

    @property
    def thumbs(self) -> list[Pair]:
        return _pairs(self.canary.thumbs, self.stable.thumbs)

    def outcomes(self, name: str) -> list[Pair]:
        canary, stable = self.canary.outcomes, self.stable.outcomes
        return _pairs(canary.get(name, {}), stable.get(name, {}))


def _pairs(canary: Mapping[int, Tally], stable: Mapping[int, Tally]) -> list[Pair]:
    """No share changes within a revision."""
    return [Pair(canary[revision], stable[revision]) for revision in canary.keys() & stable.keys()]
