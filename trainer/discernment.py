"""How well a reward tells what users like, on verdicts that it never saw. Pure.

By log-odds that somebody likes an answer. Every interval is of 95%.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean

from trainer.calibration import calibrated_brier
from trainer.held_out import Interval, accuracy
from trainer.verdicts import Verdict, apart

_Z95 = 1.96


@dataclass(frozen=True)
class Discernment:
    """What a reward says of held-out verdicts."""

    odds: Sequence[float]  # of rated answers
    liked: Sequence[bool]
    leads: Sequence[float]  # of the better answer of each pair over the worse

    def auroc(self) -> Interval | None:
        """The share of all pairs of an up and a down that it orders right."""
        share, of = self._orders_of_thumbs()
        return wilson(share, of) if of else None

    def accuracy(self) -> Interval | None:
        """Of thumbs and pairs together: told right are odds above 0 of an up, and a lead."""
        rights = [(one > 0) is up for one, up in zip(self.odds, self.liked, strict=True)]
        rights += [lead > 0 for lead in self.leads]
        return wilson(fmean(rights), len(rights)) if rights else None

    def told(self) -> dict[str, float]:
        """What could not be measured is left out."""
        found: dict[str, float] = {}
        measured = {"auroc": self.auroc(), "accuracy": self.accuracy(), "order": self.orders()}
        for name, interval in measured.items():
            if interval:
                found[f"reward_{name}"] = interval.share
                found[f"reward_{name}_low"], found[f"reward_{name}_high"] = interval[1:]
        if len(self.odds) >= 2:
            found["reward_brier"] = calibrated_brier(self.odds, self.liked)
        return found

    def is_worse_than_chance(self) -> str | None:
        """Why nothing should be learned from it; None where something, or where nobody knows."""
        found = self.orders()
        if found is None or found.high > 0.5:
            return None
        return f"{found.share:.1%} of held-out orders are right (95 %: at most {found.high:.1%})"

    def orders(self) -> Interval | None:
        """The share of all orders that it tells right, of thumbs and pairs together: of the two,
        whichever tells more decides.
        """
        share, of_thumbs = self._orders_of_thumbs()
        of = of_thumbs + len(self.leads)
        won = sum((lead > 0) + (lead == 0) / 2 for lead in self.leads)
        return wilson((share * of_thumbs + won) / of, of) if of else None

    def _orders_of_thumbs(self) -> tuple[float, float]:
        """The share of those that are right, and as how many independent ones they tell."""
        ups, downs = (
            [one for one, up in zip(self.odds, self.liked, strict=True) if up is wanted]
            for wanted in (True, False)
        )
        if not ups or not downs:
            return 0.0, 0.0
        share = accuracy(ups, downs).share
        return share, _count(share, len(ups), len(downs))


def discernment(
    worth: Callable[[Sequence[Verdict]], Sequence[float]], held: Sequence[Verdict]
) -> Discernment:
    """`worth`: of each answer that these verdicts are about, a pair's better one first."""
    rows, pairs = apart(held)
    odds, both = worth(rows) if rows else (), worth(pairs) if pairs else ()
    leads = [won - lost for won, lost in zip(both[::2], both[1::2], strict=True)]
    return Discernment(odds, [row.liked for row in rows], leads)


def wilson(share: float, of: float) -> Interval:
    """Of a share (Wilson 1927): it holds near 0 and 1 too."""
    square = _Z95**2 / of
    middle = (share + square / 2) / (1 + square)
    half = _Z95 * sqrt(share * (1 - share) / of + square / (4 * of)) / (1 + square)
    return Interval(share, max(middle - half, 0.0), min(middle + half, 1.0))


def _count(share: float, ups: int, downs: int) -> float:
    """Of how many independent orders it would be as sure (by the error of Hanley, McNeil 1982)."""
    two_ups, two_downs = share / (2 - share), 2 * share**2 / (1 + share)
    spread = (ups - 1) * (two_ups - share**2) + (downs - 1) * (two_downs - share**2)
    alone = share * (1 - share)
    # At 0 and 1 there is no error to go by; no order is surer than its scarcer side.
    return ups * downs * alone / (alone + spread) if alone else min(ups, downs)
