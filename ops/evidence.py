"""Is the canary better? Tests on the users' thumbs that hold at every look. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, log, sqrt
from typing import NamedTuple

# The mixture's spread: where the test is sharpest. Differences of 5 to 40 points are decided with
# little more data than a fixed-size test needs.
SPREAD = 0.15
Z95 = 1.959964


@dataclass(frozen=True)
class Thumbs:
    up: int = 0
    total: int = 0

    @property
    def rate(self) -> float:
        return self.up / self.total if self.total else float("nan")


class Tally(NamedTuple):
    users: int = 0
    n: int = 0
    total: float = 0.0
    nn: float = 0.0
    nt: float = 0.0
    tt: float = 0.0
    squares: float = 0.0

    @classmethod
    def rate(cls, up: float, n: int) -> "Tally":
        return cls(n, n, up, n, up, up, up)

    @classmethod
    def alone(cls, n: int, total: float, squares: float) -> "Tally":
        return cls(n, n, total, n, total, squares, squares)

    def replaced(
        self, before: tuple[int, float, float], after: tuple[int, float, float]
    ) -> "Tally":
        n0, t0, s0 = before
        n1, t1, s1 = after
        return Tally(
            self.users + (n1 > 0) - (n0 > 0),
            self.n + n1 - n0,
            self.total + t1 - t0,
            self.nn + n1 * n1 - n0 * n0,
            self.nt + n1 * t1 - n0 * t0,
            self.tt + t1 * t1 - t0 * t0,
            self.squares + s1 - s0,
        )

    def __add__(self, other: "Tally") -> "Tally":  # type: ignore[override]
        return Tally(*(a + b for a, b in zip(self, other)))


class Pair(NamedTuple):
    """What both arms got while the shares stayed as they were."""

    canary: Tally
    stable: Tally

    @property
    def weight(self) -> float:
        """In inverse proportion to the variance, were the rates the same."""
        return self.canary.n * self.stable.n / (self.canary.n + self.stable.n)

    @property
    def difference(self) -> float:
        return _drawn_in(self.canary) - _drawn_in(self.stable)

    @property
    def variance(self) -> float:
        return _variance(self.canary) + _variance(self.stable)


class Mismatch(NamedTuple):
    e: float
    found: bool


def mismatch(newcomers: object, alpha: float) -> Mismatch:
    return Mismatch(1.0, False)


def win(strata: list[Tally], alpha: float) -> "Interval":
    return Interval(-inf, 0.0, inf)


class Interval(NamedTuple):
    low: float
    estimate: float
    high: float


def gain(pairs: Iterable[Pair], alpha: float) -> Interval:
    """The canary's rate less the stable one's, with bounds that hold at every look at once.

    A normal-mixture confidence sequence (Robbins 1970; the mSPRT of Johari et al. 2017), each bound
    broken by chance with probability `alpha` at most. Arms are compared pair by pair: rates that
    rise or fall for everybody while the canary's share grows are not the canary's doing. Rates are
    drawn towards one half by one thumb of each kind, so that three thumbs of one kind do not look
    like certainty.
    """
    both = [pair for pair in pairs if pair.canary.n and pair.stable.n]
    if not both:
        return Interval(-inf, 0.0, inf)
    whole = sum(pair.weight for pair in both)
    estimate = sum(pair.weight / whole * pair.difference for pair in both)
    variance = sum((pair.weight / whole) ** 2 * pair.variance for pair in both)
    mixture = SPREAD**2
    grown = variance + mixture
    # Two-sided at 2 alpha, so that each side has alpha.
    half = sqrt(2 * variance * grown / mixture * (log(1 / (2 * alpha)) + log(grown / variance) / 2))
    return Interval(estimate - half, estimate, estimate + half)


def wilson(thumbs: Thumbs) -> Interval:
    """The rate with its 95% interval, for people to read. Not for repeated looks."""
    if not thumbs.total:
        return Interval(0.0, float("nan"), 1.0)
    n, rate = thumbs.total, thumbs.rate
    centre = (rate + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * sqrt(rate * (1 - rate) / n + Z95**2 / (4 * n * n))
    # At a rate of 0 or 1 the bound is the rate; rounding must not leave it outside.
    return Interval(min(centre - half, rate), rate, max(centre + half, rate))


def _drawn_in(one: Tally) -> float:
    return (one.total + 1) / (one.n + 2)


def _variance(one: Tally) -> float:
    rate = _drawn_in(one)
    return rate * (1 - rate) / one.n
