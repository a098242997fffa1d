"""What one arm's answers were like: failures, refusals, lengths and waits. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from math import ceil, inf, log
from typing import Literal

from ops.tally import Sums, Tally

# Each value is 0 or 1 but for `length`, the logarithm of the tokens: one long answer is no longer
# answers.
Measure = Literal["error", "refusal", "slow", "length"]
_STEP = log(1.05)  # waits are told apart by so much
_SHORTEST_SECONDS = 0.001
USUAL = 0.95  # the percentile that is taken for what is usual
_FEW = 20  # waits, of which nothing is usual yet
_NOTHING = Tally()


@dataclass
class Waits:
    """How long many answers took, to five parts in a hundred."""

    counts: Counter[int] = field(default_factory=Counter)
    n: int = 0
    _usual: tuple[int, float] = (0, inf)  # as it was, and of how many

    def add(self, seconds: float) -> None:
        self.counts[ceil(log(max(seconds, _SHORTEST_SECONDS) / _SHORTEST_SECONDS) / _STEP)] += 1
        self.n += 1

    def percentile(self, share: float) -> float:
        """So long at most that share of them took."""
        so_far = 0
        for place in sorted(self.counts):
            so_far += self.counts[place]
            if so_far >= share * self.n:
                return _SHORTEST_SECONDS * float(1.05**place)
        return float("nan")

    @property
    def usual(self) -> float:
        """Their 95th percentile; without end where they are few. Not told anew for each of many."""
        if self.n >= max(_FEW, 1.05 * self._usual[0]):
            self._usual = self.n, self.percentile(USUAL)
        return self._usual[1]


@dataclass
class Served:
    """It grows as more is seen."""

    completions: int = 0
    not_loaded: int = 0  # the engine could not answer as this adapter
    error: Tally = _NOTHING
    refusal: Tally = _NOTHING
    slow: Tally = _NOTHING
    length: Tally = _NOTHING
    waits: Waits = field(default_factory=Waits)

    def tell(self, measure: Measure, before: Sums, after: Sums) -> None:
        """Of one user."""
        tally: Tally = getattr(self, measure)
        setattr(self, measure, tally.replaced(before, after))


def length_of(tokens: int) -> float:
    return log(1 + tokens)
