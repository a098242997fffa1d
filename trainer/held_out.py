"""What a candidate prefers among answers it never saw: liked ones to disliked ones? Pure.

`ups`, `downs`: how much likelier than its parent the candidate finds held-out answers.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from math import sqrt
from statistics import fmean, variance
from typing import NamedTuple

from trainer.adapters import Estimate, GateResult
from trainer.kl import upper
from trainer.plan import Plan

_Z99 = 2.576  # two-sided 99 %: of rounds that change nothing, one in 200 would fail


class Interval(NamedTuple):
    share: float
    low: float
    high: float


def held_out_gates(
    ups: Sequence[float], downs: Sequence[float], plan: Plan
) -> Iterator[GateResult]:
    """They fail only where the candidate is surely worse than chance: slips blur the rest."""
    seen = f"{len(ups)} ups and {len(downs)} downs held out"
    if plan.min_holdout == 0:
        judged = [(True, f"not asked for: min_holdout is 0 ({seen})")] * 2
    elif min(len(ups), len(downs)) < max(plan.min_holdout, 2):
        judged = [(False, f"could not measure: {seen}")] * 2
    else:
        judged = [_gap(ups, downs, seen), _accuracy(ups, downs, seen)]
    for name, (passed, why) in zip(("held_out", "held_out_accuracy"), judged, strict=True):
        yield GateResult(name=name, passed=passed, reason=why)


def _gap(ups: Sequence[float], downs: Sequence[float], seen: str) -> tuple[bool, str]:
    found = gap(ups, downs)
    told = f"ups gained {found.value:+.2f} ± {found.stderr:.2f} nats over downs"
    return upper(found) > 0, f"{told}; {seen}"


def _accuracy(ups: Sequence[float], downs: Sequence[float], seen: str) -> tuple[bool, str]:
    # Half is the parent's own share: the gains are over the parent, so its own are all zero and
    # every pair of them is a tie. To be no worse than the parent is to be no worse than chance.
    found = accuracy(ups, downs)
    told = f"{found.share:.1%} of the pairs of an up and a down are ordered rightly"
    return found.high >= 0.5, f"{told} (99 %: {found.low:.1%} to {found.high:.1%}); {seen}"


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
    return Interval(share, max(share - _Z99 * error, 0.0), min(share + _Z99 * error, 1.0))


def held_out_scores(ups: Sequence[float], downs: Sequence[float]) -> Iterator[tuple[str, float]]:
    if min(len(ups), len(downs)) >= 2:
        yield "held_out_gap", gap(ups, downs).value
        yield "held_out_accuracy", accuracy(ups, downs).share
