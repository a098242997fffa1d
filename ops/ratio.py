"""Did each arm get the users that the split promised it? A test that holds at every look. Pure."""

from collections.abc import Iterable
from math import inf, lgamma, log
from typing import NamedTuple

# How many users the prior is worth: shares some 5 points off are found soonest where half of the
# users are promised, some 1 point off where 1% are.
PRIOR = 100


class Mismatch(NamedTuple):
    log_e: float  # the evidence against the shares, as a logarithm
    found: bool


def mismatch(newcomers: Iterable[tuple[float, int, int]], alpha: float) -> Mismatch:
    """Whether users came to the arms in other shares than promised.

    Of each revision of the split: the canary's share, and the users first seen then on the canary
    and on stable. Each was drawn once, so the mixture of Lindon & Malek (2022) is a martingale, and
    passes 1 / alpha by chance with probability `alpha` at most, over all looks together.
    """
    log_e = sum(_log_e(share, canary, stable) for share, canary, stable in newcomers)
    return Mismatch(log_e, log_e >= log(1 / alpha))


def _log_e(share: float, canary: int, stable: int) -> float:
    """How much likelier a beta mixture of shares makes these users than the promised share."""
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}; expected 0 to 1")
    if share in (0, 1):
        return inf if (canary if share == 0 else stable) else 0.0
    a, b = PRIOR * share, PRIOR * (1 - share)
    mixed = _log_beta(a + canary, b + stable) - _log_beta(a, b)
    return mixed - canary * log(share) - stable * log(1 - share)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
