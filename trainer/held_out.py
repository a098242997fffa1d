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

_Z95 = 1.96  # two-sided 95 %


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
    return found.high >= 0.5, f"{told} (95 %: {found.low:.1%} to {found.high:.1%}); {seen}"


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
    # Pairs share their thumbs, so they are not so many draws: the share varies at most as one of
    # min(ups, downs) draws would (Birnbaum and Klose 1957). A bootstrap of three is too sure.
    return wilson(share, min(len(ups), len(downs)))


def wilson(share: float, n: int) -> Interval:
    """Wilson's interval at 95 %: holds for few draws, and for shares of 0 and 1."""
    z2 = _Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 * sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Interval(share, middle - half, middle + half)


def held_out_scores(ups: Sequence[float], downs: Sequence[float]) -> Iterator[tuple[str, float]]:
    if min(len(ups), len(downs)) >= 2:
        yield "held_out_gap", gap(ups, downs).value
        yield "held_out_accuracy", accuracy(ups, downs).share
