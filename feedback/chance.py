"""How probable so much is by chance: exact tails. Pure."""

from math import comb, exp, lgamma, log


def binomial_tail(least: int, total: int, rate: float) -> float:
    """The chance of `least` or more of `total`, each with this rate."""
    if least <= 0 or rate >= 1:
        return 1.0
    if rate <= 0:
        return 0.0
    # In logarithms: floating point does not hold the number of ways.
    return sum(exp(_log_chance(k, total, rate)) for k in range(least, total + 1))


def drawn_at_least(least: int, drawn: int, marked: int, total: int) -> float:
    """The chance of `least` or more marked ones among those drawn from all, none put back."""
    most = min(drawn, marked)
    ways = sum(comb(marked, k) * comb(total - marked, drawn - k) for k in range(least, most + 1))
    return ways / comb(total, drawn)


def _log_chance(yes: int, total: int, rate: float) -> float:
    no = total - yes
    ways = lgamma(total + 1) - lgamma(yes + 1) - lgamma(no + 1)
    return ways + yes * log(rate) + no * log(1 - rate)
