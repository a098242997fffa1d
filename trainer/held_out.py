"""What a candidate prefers among answers it never saw: the better to the worse? Pure.

In gains: how much likelier than its parent the candidate finds an answer.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, variance
from typing import NamedTuple

from trainer.adapters import Estimate, GateResult
from trainer.kl import mean_of, upper
from trainer.methods import Kind
from trainer.plan import Plan

_SMALL = 0.005  # what two places after the point show as nothing
_Z99 = 2.576  # two-sided 99 %: of rounds that change nothing, one in 200 would fail


class Interval(NamedTuple):
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Thumbs:
    """The gains of held-out answers that were liked, and of those that were not."""

    ups: Sequence[float]
    downs: Sequence[float]
    compared = "ups gained {} nats over downs", "the pairs of an up and a down"

    @property
    def seen(self) -> str:
        return f"{len(self.ups)} ups and {len(self.downs)} downs held out"

    @property
    def n(self) -> int:
        return min(len(self.ups), len(self.downs))

    def gap(self) -> Estimate:
        return gap(self.ups, self.downs)

    def accuracy(self) -> Interval:
        return accuracy(self.ups, self.downs)


@dataclass(frozen=True)
class Orders:
    """Of each held-out pair or ranking: what each better answer gained more than each worse."""

    leads: Sequence[Sequence[float]]
    kind: Kind = "pairs"
    compared = "better answers gained {} nats over worse", "the orders of better and worse"

    @property
    def seen(self) -> str:
        return f"{self.n} {'pairs' if self.kind == 'pairs' else 'rankings'} held out"

    @property
    def n(self) -> int:
        return len(self.leads)

    def gap(self) -> Estimate:
        return mean_of([fmean(leads) for leads in self.leads])

    def accuracy(self) -> Interval:
        """Ties count half; a ranking counts as much as a pair, however many it orders."""
        shares = [fmean((lead > 0) + (lead == 0) / 2 for lead in leads) for leads in self.leads]
        # By how much it would vary if each were ordered by chance; rankings vary less.
        return _interval(fmean(shares), 1 / (2 * sqrt(len(shares))))


HeldOut = Thumbs | Orders


def held_out_gates(held: HeldOut, plan: Plan) -> Iterator[GateResult]:
    """They fail only where the candidate is surely worse than chance: slips blur the rest."""
    if plan.min_holdout == 0:
        judged = [(True, f"not asked for: min_holdout is 0 ({held.seen})")] * 2
    elif held.n < max(plan.min_holdout, 2):
        judged = [(False, f"could not measure: {held.seen}")] * 2
    else:
        judged = [_gap(held), _accuracy(held)]
    for name, (passed, why) in zip(("held_out", "held_out_accuracy"), judged, strict=True):
        yield GateResult(name=name, passed=passed, reason=why)


def _gap(held: HeldOut) -> tuple[bool, str]:
    found = held.gap()
    as_told = ".2f" if max(abs(found.value), found.stderr) >= _SMALL else ".1e"
    told = held.compared[0].format(f"{found.value:+{as_told}} ± {found.stderr:{as_told}}")
    return upper(found) > 0, f"{told}; {held.seen}"


def _accuracy(held: HeldOut) -> tuple[bool, str]:
    # Half is the parent's own share: the gains are over the parent, so its own are all zero and
    # every pair of them is a tie. To be no worse than the parent is to be no worse than chance.
    found = held.accuracy()
    told = f"{found.share:.1%} of {held.compared[1]} are right"
    return found.high >= 0.5, f"{told} (99 %: {found.low:.1%} to {found.high:.1%}); {held.seen}"


def gap(ups: Sequence[float], downs: Sequence[float]) -> Estimate:
    """Mean of the ups over mean of the downs, their spread taken as one: each side may be small."""
    degrees = len(ups) + len(downs) - 2
    pooled = (variance(ups) * (len(ups) - 1) + variance(downs) * (len(downs) - 1)) / degrees
    error = sqrt(pooled * (1 / len(ups) + 1 / len(downs)))
    return Estimate(value=fmean(ups) - fmean(downs), stderr=error, n=degrees + 2)


def accuracy(ups: Sequence[float], downs: Sequence[float]) -> Interval:
    """The share of all pairs whose up gained more than their down; ties count half."""
    ranked = sorted(downs)
    below = (bisect_left(ranked, up) + bisect_right(ranked, up) for up in ups)  # twice
    share = sum(below) / (2 * len(ups) * len(downs))
    # By how much it would vary if ups and downs were alike: as the rank sum (Mann, Whitney 1947).
    error = sqrt((len(ups) + len(downs) + 1) / (12 * len(ups) * len(downs)))
    return _interval(share, error)


def _interval(share: float, error: float) -> Interval:
    return Interval(share, max(share - _Z99 * error, 0.0), min(share + _Z99 * error, 1.0))


def held_out_scores(held: HeldOut) -> Iterator[tuple[str, float]]:
    if held.n >= 2:
        yield "held_out_gap", held.gap().value
        yield "held_out_accuracy", held.accuracy().share
