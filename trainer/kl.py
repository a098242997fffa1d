"""How far one policy is from another, estimated on the policy's own samples. Pure.

In nats an answer: an argument holds the log-probability of each sampled answer, over all tokens.
"""

from collections.abc import Sequence
from math import sqrt
from statistics import fmean, stdev

from trainer.adapters import Estimate

# One-sided 95 %: a budget holds only where even the unlucky end of the estimate is inside it.
_Z95 = 1.645


def k1(policy: Sequence[float], reference: Sequence[float]) -> Estimate:
    """Unbiased, and noisy: single terms may be negative."""
    return mean_of(_gains(policy, reference))


def mean_of(values: Sequence[float]) -> Estimate:
    """Mean and standard error. Of fewer than two values the error is not known: mind `n`."""
    if len(values) < 2:
        return Estimate(value=fmean(values) if values else 0.0, stderr=0.0, n=len(values))
    return Estimate(value=fmean(values), stderr=stdev(values) / sqrt(len(values)), n=len(values))


def upper(estimate: Estimate) -> float:
    return estimate.value + _Z95 * estimate.stderr


def within(estimate: Estimate, budget: float) -> bool:
    """What could not be measured is not within a budget."""
    return estimate.n >= 2 and upper(estimate) <= budget


def _gains(policy: Sequence[float], reference: Sequence[float]) -> list[float]:
    return [p - r for p, r in zip(policy, reference, strict=True)]
