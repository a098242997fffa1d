"""How far one policy is from another, estimated on the policy's own samples. Pure.

In nats an answer: an argument holds the log-probability of each sampled answer, over all tokens.
"""

from collections.abc import Sequence
from math import expm1, isfinite, sqrt
from statistics import fmean, stdev
from typing import NamedTuple

from trainer.adapters import Estimate
from trainer.endings import NotFinite

# One-sided 95 %: a budget holds only where even the unlucky end of the estimate is inside it.
_Z95 = 1.645
# k3 grows with the ratio of reference to policy: one rare token outweighs all other answers. The
# ratio's mean is 1, so fewer than one answer in exp(5) = 148 lies beyond; a term is 142.4 there.
_MOST_LOG_RATIO = 5.0
# Ziegler 2019 (0.2, times 0.1 a batch); here once an epoch, so all of it.
_MOST_ADAPTED = 0.2


class Drift(NamedTuple):
    """How far the policy is, by three estimators; each name is a curve's."""

    kl_parent: Estimate
    kl_parent_k2: Estimate
    kl_parent_k3: Estimate
    kl_base: Estimate
    kl_base_k2: Estimate
    kl_base_k3: Estimate


def drift_of(policy: Sequence[float], parent: Sequence[float], base: Sequence[float]) -> Drift:
    """Of the policy's own answers."""
    return Drift(*(how(policy, other) for other in (parent, base) for how in (k1, k2, k3)))


def k1(policy: Sequence[float], reference: Sequence[float]) -> Estimate:
    """Unbiased, and noisy: single terms may be negative."""
    return mean_of(_gains(policy, reference))


def k2(policy: Sequence[float], reference: Sequence[float]) -> Estimate:
    """Never negative, and biased where the two are far apart."""
    return mean_of([gain**2 / 2 for gain in _gains(policy, reference)])


def k3(policy: Sequence[float], reference: Sequence[float]) -> Estimate:
    """Never negative, and unbiased but for its clamp, which makes it too small far away."""
    ratios = [min(-gain, _MOST_LOG_RATIO) for gain in _gains(policy, reference)]
    return mean_of([max(expm1(ratio) - ratio, 0.0) for ratio in ratios])


def adapted(weight: float, kl: float, target: float) -> float:
    """What a penalty weighs next: more where the KL is over its target, less where it is under."""
    return weight * (1 + min(max(kl / target - 1, -_MOST_ADAPTED), _MOST_ADAPTED))


def mean_of(values: Sequence[float]) -> Estimate:
    """Mean and standard error. Of fewer than two values the error is not known: mind `n`."""
    if strange := [value for value in values if not isfinite(value)]:
        raise NotFinite(f"what an answer gained is {strange[0]}; expected a finite number")
    if len(values) < 2:
        return Estimate(value=fmean(values) if values else 0.0, stderr=0.0, n=len(values))
    return Estimate(value=fmean(values), stderr=stdev(values) / sqrt(len(values)), n=len(values))


def upper(estimate: Estimate) -> float:
    return estimate.value + _Z95 * estimate.stderr


def lower(estimate: Estimate) -> float:
    return estimate.value - _Z95 * estimate.stderr


def within(estimate: Estimate, budget: float) -> bool:
    """What could not be measured is not within a budget."""
    return estimate.n >= 2 and upper(estimate) <= budget


def _gains(policy: Sequence[float], reference: Sequence[float]) -> list[float]:
    return [p - r for p, r in zip(policy, reference, strict=True)]
