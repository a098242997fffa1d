"""What one arm's answers were like: failures, refusals, lengths and waits. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from math import ceil, log

_STEP = log(1.05)  # waits are told apart by so much
_SHORTEST_SECONDS = 0.001


@dataclass
class Waits:
    """How long many answers took, to five parts in a hundred."""

    counts: Counter[int] = field(default_factory=Counter)

    def add(self, seconds: float) -> None:
        self.counts[_place(seconds)] += 1

    def percentile(self, share: float) -> float:
        """So long at most that share of them took."""
        wanted, so_far = share * self.counts.total(), 0
        for place in sorted(self.counts):
            so_far += self.counts[place]
            if so_far >= wanted:
                return _SHORTEST_SECONDS * float(1.05**place)
        return float("nan")

    def over(self, seconds: float) -> int:
        limit = _place(seconds)
        return sum(count for place, count in self.counts.items() if place > limit)


@dataclass
class Lengths:
    """Logarithms of numbers of tokens: one long answer is no longer answers."""

    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, tokens: int) -> None:
        value = log(1 + tokens)
        self.n, self.total, self.squares = (
            self.n + 1,
            self.total + value,
            self.squares + value * value,
        )


@dataclass
class Served:
    """It grows as more is seen."""

    completions: int = 0
    errors: int = 0
    not_loaded: int = 0  # of the errors: the engine could not answer as this adapter
    refusals: int = 0
    lengths: Lengths = field(default_factory=Lengths)
    waits: Waits = field(default_factory=Waits)


def _place(seconds: float) -> int:
    return ceil(log(max(seconds, _SHORTEST_SECONDS) / _SHORTEST_SECONDS) / _STEP)
