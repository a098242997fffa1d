"""Is the canary better? Tests on what users said that hold at every look. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, log, sqrt
from statistics import NormalDist
from typing import NamedTuple

from ops.tally import RATE, Padding, Tally, apart, excess, mean, spread

# The mixture's spread, in standard deviations of a single value: where the test is sharpest. For
# thumbs that are some 15 points. Canaries that are 5 to 40 points worse or better are decided on
# with little more data than a fixed-size test needs.
SPREAD = 1 / 3
Z95 = 1.959964


@dataclass(frozen=True)
class Thumbs:
    up: int = 0
    total: int = 0

    @property
    def rate(self) -> float:
        return self.up / self.total if self.total else float("nan")


class Pair(NamedTuple):
    """What both arms got while the shares stayed as they were."""

    canary: Tally
    stable: Tally

    @property
    def weight(self) -> float:
        """In inverse proportion to the variance, were the rates the same."""
        return self.canary.n * self.stable.n / (self.canary.n + self.stable.n)


class Interval(NamedTuple):
    low: float
    estimate: float
    high: float


UNKNOWN = Interval(-inf, 0.0, inf)


class Measured(NamedTuple):
    """An effect as it is seen, and how far it may be off by chance."""

    estimate: float
    variance: float
    mixture: float  # the variance of the effects that the test is made for


def gain(pairs: Iterable[Pair], alpha: float) -> Interval:
    """The canary's mean less the stable one's: of thumbs the rates, of outcomes what they are.

    Each bound is broken by chance with probability `alpha` at most, over all looks together.
    """
    return _bounds(difference(pairs), alpha)


def win(strata: Sequence[Tally], alpha: float) -> Interval:
    """The canary's rate of wins less one half, bounded likewise; see `preference`."""
    return _bounds(preference(strata), alpha)


def difference(pairs: Iterable[Pair]) -> Measured | None:
    """Between the arms, pair by pair.

    Rates that rise or fall for everybody while the canary's share grows are not its doing.
    """
    both = [pair for pair in pairs if pair.canary.n and pair.stable.n]
    if not both:
        return None
    padding = _padding([tally for pair in both for tally in pair])
    whole = sum(pair.weight for pair in both)
    weights = [pair.weight / whole for pair in both]
    arms = [list(zip(weights, arm, strict=True)) for arm in zip(*both, strict=True)]
    canary, stable = (sum(weight * mean(tally, padding) for weight, tally in arm) for arm in arms)
    return _measured(canary - stable, arms, padding)


def preference(strata: Sequence[Tally]) -> Measured | None:
    """How much more often than every other time the canary won a comparison; a tie is half a win.

    One tally for each place it was shown at. They weigh alike, so that a liking for what is shown
    first cancels.
    """
    if len(strata) < 2 or not all(tally.n for tally in strata):
        return None
    each = 1 / len(strata)
    estimate = each * sum(mean(tally, RATE) - 0.5 for tally in strata)
    return _measured(estimate, [[(each, tally) for tally in strata]], RATE)


def detectable(seen: Measured | None, alpha: float, power: float = 0.8) -> float:
    """The least effect that as much data as this finds with that probability, at its last look."""
    if seen is None:
        return inf
    return _half(seen, alpha) + NormalDist().inv_cdf(power) * sqrt(seen.variance)


def shrunk(seen: Measured | None) -> Interval:
    """The effect with its 95% interval, for people to read: drawn in towards none.

    Who looks at winners sees those that luck has helped. The effects that the test is made for are
    the prior; where it holds, neither choosing nor stopping does harm.
    """
    if seen is None:
        return UNKNOWN
    kept = seen.mixture / (seen.mixture + seen.variance)
    half = Z95 * sqrt(kept * seen.variance)
    return Interval(kept * seen.estimate - half, kept * seen.estimate, kept * seen.estimate + half)


def wilson(thumbs: Thumbs) -> Interval:
    """The rate with its 95% interval, for people to read. Not for repeated looks."""
    if not thumbs.total:
        return Interval(0.0, float("nan"), 1.0)
    n, rate = thumbs.total, thumbs.rate
    centre = (rate + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * sqrt(rate * (1 - rate) / n + Z95**2 / (4 * n * n))
    # At a rate of 0 or 1 the bound is the rate; rounding must not leave it outside.
    return Interval(min(centre - half, rate), rate, max(centre + half, rate))


def _bounds(seen: Measured | None, alpha: float) -> Interval:
    if seen is None:
        return UNKNOWN
    half = _half(seen, alpha)
    return Interval(seen.estimate - half, seen.estimate, seen.estimate + half)


def _half(seen: Measured, alpha: float) -> float:
    """A normal-mixture confidence sequence (Robbins 1970; the mSPRT of Johari et al. 2017) with
    the variance as it is seen (asymptotic: Waudby-Smith et al. 2021).
    """
    grown = seen.variance + seen.mixture
    # Two-sided at 2 alpha, so that each side has alpha.
    needed = log(1 / (2 * alpha)) + log(grown / seen.variance) / 2
    return sqrt(2 * seen.variance * grown / seen.mixture * needed)


def _measured(
    estimate: float, arms: Sequence[Sequence[tuple[float, Tally]]], padding: Padding
) -> Measured | None:
    """Of weighted tallies. A user may be in all tallies of an arm, so what users have of their own
    adds up there as if each were; what is left is independent.
    """
    alone = sum(weight**2 * apart(tally, padding) for arm in arms for weight, tally in arm)
    shared = (sum(weight * sqrt(excess(tally, padding)) for weight, tally in arm) for arm in arms)
    variance = alone + sum(each**2 for each in shared)
    every = sum((tally for arm in arms for _, tally in arm), Tally())
    mixture = SPREAD**2 * spread(every, padding)
    if not variance or not mixture:  # nothing ever varied, so nothing says how far it could
        return None
    return Measured(estimate, variance, mixture)


def _padding(tallies: Sequence[Tally]) -> Padding:
    """For rates one value of each kind; for other numbers one on each side of what is usual."""
    every = sum(tallies, Tally())
    if every.bounded:
        return RATE
    centre = every.total / every.n
    return Padding(centre, sqrt(max(every.squares / every.n - centre**2, 0.0)))
