"""Scores of live answers → how far those who gave them are from stable and from base. Pure.

In nats an answer: the mean of log p(answer), as it was served, less log p under the other. Of
answers drawn as the model is, that is an unbiased estimate of the KL. Its own tail towards too
little is thin (a ratio of e^-t has a chance of at most e^-t), so that few answers do not look far.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from math import log, sqrt
from typing import Literal

from feedback.events import Score
from ops.evidence import Interval

To = Literal["stable", "base"]
LEAST_ANSWERS = 20
ALPHA = 0.05
# Engine and trainer do not compute alike: in bfloat16 the sums of an answer were up to 0.09 apart.
# That is no drift, and no number of answers makes it smaller.
ENGINE_GAP = 0.1
_SHARPEST_AT = 200  # answers; elsewhere the interval is somewhat wider than it could be
_SPREAD = (-2 * log(ALPHA) + log(1 - 2 * log(ALPHA))) / _SHARPEST_AT
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Drift:
    """`low` to `high` holds the truth at all looks at once, but for 5% of all trials.

    Where one answer in a hundred is far off and the others near, `high` is too low until some of
    those were seen; `low` is not too high.
    """

    to: To
    estimate: float
    low: float
    high: float
    answers: int
    newest: datetime  # of the scores
    faithful: int = 0  # of the answers: drawn as the model is

    @property
    def interval(self) -> Interval:
        return Interval(self.low, self.estimate, self.high)


@dataclass
class _Sums:
    """Mean and squares about it, as they grow (Welford): large sums would swallow small ones."""

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0
    faithful: int = 0
    newest: datetime = _NEVER

    def add(self, gain: float, score: Score) -> None:
        self.n += 1
        off = gain - self.mean
        self.mean += off / self.n
        self.squares += off * (gain - self.mean)
        self.faithful += score.faithful
        self.newest = max(self.newest, score.at)

    def drift(self, to: To) -> Drift:
        half = half_width(self.n, self.squares / (self.n - 1)) + ENGINE_GAP
        low, high = self.mean - half, self.mean + half
        return Drift(to, self.mean, low, high, self.n, self.newest, self.faithful)


class Scores:
    """Of all adapters. It grows with these, not with the scores."""

    def __init__(self) -> None:
        self._to_stable: defaultdict[tuple[str, str], _Sums] = defaultdict(_Sums)
        self._to_base: defaultdict[str, _Sums] = defaultdict(_Sums)

    def add(self, score: Score) -> None:
        mine = self._to_stable[score.adapter, score.stable]
        mine.add(score.served - score.under_stable, score)
        self._to_base[score.adapter].add(score.served - score.under_base, score)

    def of(self, adapter: str, stable: str) -> tuple[int, datetime | None]:
        """How many there are against this stable, and when the newest was."""
        mine = self._to_stable.get((adapter, stable))
        return (mine.n, mine.newest) if mine else (0, None)

    def drifts(self, adapter: str, stable: str) -> dict[str, Drift]:
        """Of the adapter's answers, against this stable alone; none of too few answers."""
        found: dict[To, _Sums | None] = {
            "stable": self._to_stable.get((adapter, stable)),
            "base": self._to_base.get(adapter),
        }
        return {
            to: sums.drift(to) for to, sums in found.items() if sums and sums.n >= LEAST_ANSWERS
        }


def half_width(n: int, variance: float) -> float:
    """Of an interval around a mean that holds at every look, from LEAST_ANSWERS on.

    An asymptotic confidence sequence (Waudby-Smith et al. 2021, theorem 2.2), as if the variance
    were known; the sample's own is made larger by as much as Student's t is wider than a normal.
    """
    grown = n * _SPREAD + 1
    return sqrt(
        (n - 1) / (n - 3) * variance * 2 * grown / (n * n * _SPREAD) * log(sqrt(grown) / ALPHA)
    )
