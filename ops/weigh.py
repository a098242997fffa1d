"""What users' verdicts say of a canary, one kind of verdict after the other. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ops.evidence import (
    Interval,
    Measured,
    bounds,
    detectable,
    difference,
    preference,
    shrunk,
)
from ops.seen import Observation
from ops.tally import Tally

_FIRST_SHARE = 0.8  # of alpha, where there are several


@dataclass(frozen=True)
class Evidence:
    """`thumbs`, `comparisons` or `outcome:NAME`; of some outcomes less is better."""

    of: str
    less_is_better: bool = False

    def __str__(self) -> str:
        return f"-{self.of}" if self.less_is_better else self.of


THUMBS = Evidence("thumbs")


class Finding(NamedTuple):
    """The canary's gain over stable by one kind of verdict, with bounds that hold at each look."""

    of: str
    gain: Interval
    verdicts: int  # on the canary
    told: str
    detectable: float  # what so many verdicts find four times in five, by now
    shrunk: Interval  # the gain for people to read: luck helps those who are looked at

    def __str__(self) -> str:
        return self.told


def findings(wanted: Sequence[Evidence], alpha: float, seen: Observation) -> list[Finding]:
    """The first has most of alpha, so that the others cost it little; together they have that."""
    others = len(wanted) - 1
    shares = [_FIRST_SHARE if others else 1.0] + [(1 - _FIRST_SHARE) / max(others, 1)] * others
    return [_finding(one, share * alpha, seen) for one, share in zip(wanted, shares, strict=True)]


def numbers(found: Sequence[Finding]) -> str:
    """The first, and those of which there is anything to tell."""
    return "; ".join(one.told for one in found if one.verdicts or one is found[0])


def _finding(one: Evidence, alpha: float, seen: Observation) -> Finding:
    if one.of == "comparisons":
        return _compared(alpha, seen)
    name = one.of.removeprefix("outcome:")
    pairs = seen.thumbs if one == THUMBS else seen.outcomes(name)
    found = difference(pairs)
    if found and one.less_is_better:
        found = found._replace(estimate=-found.estimate)
    arms = [sum(arm, Tally()) for arm in zip(*pairs, strict=True)] or [Tally(), Tally()]
    tell, show = (_rate, _points) if one == THUMBS else (_mean, _numbers)
    told = f"gain {show(bounds(found, alpha))} on {name} {tell(arms[0])} against {tell(arms[1])}"
    return _found(str(one), found, alpha, arms[0].n, told)


def _compared(alpha: float, seen: Observation) -> Finding:
    found = preference([seen.wins.get("a", Tally()), seen.wins.get("b", Tally())])
    every = sum(seen.wins.values(), Tally())
    won = f"won {every.total:g} of {every.n} comparisons"
    told = f"gain {_points(bounds(found, alpha))}, {won}"
    return _found("comparisons", found, alpha, every.n, told)


def _found(of: str, found: Measured | None, alpha: float, verdicts: int, told: str) -> Finding:
    least = detectable(found, alpha)
    return Finding(of, bounds(found, alpha), verdicts, told, least, shrunk(found))


def _rate(tally: Tally) -> str:
    return f"{tally.total:g}/{tally.n}"


def _mean(tally: Tally) -> str:
    return f"{tally.total / tally.n:.4g} of {tally.n}" if tally.n else "nothing"


def _points(gain: Interval) -> str:
    if gain.high - gain.low == float("inf"):
        return "unknown"
    low, high = max(gain.low, -1.0), min(gain.high, 1.0)  # no difference of rates is larger
    return f"{100 * gain.estimate:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})"


def _numbers(gain: Interval) -> str:
    if gain.high - gain.low == float("inf"):
        return "unknown"
    return f"{gain.estimate:+.3g} ({gain.low:+.3g} to {gain.high:+.3g})"
