"""Scores as chances: stretched and shifted until their log-odds hold (Platt 1999). Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log1p
from statistics import fmean, pstdev

# Towards what it was: where all answers are ordered right, the best stretch has no end.
_PULL = 1.0
_STEPS = 50
_LEAST = 0.1  # of log-odds, by which scores then still differ
_NEAR = 1e-9


@dataclass(frozen=True)
class Calibration:
    """Where nothing is known to calibrate on, a score is taken at its word."""

    stretch: float = 1.0
    shift: float = 0.0

    def log_odds(self, score: float) -> float:
        return self.stretch * score + self.shift

    def chance(self, score: float) -> float:
        """That a user likes it."""
        return _sigmoid(self.log_odds(score))


def calibrate(scores: Sequence[float], liked: Sequence[bool]) -> Calibration:
    """No score is turned around: where verdicts say the opposite, all are of almost one chance."""
    found = _fitted(scores, liked)
    if found.stretch > 0:
        return found
    least = _LEAST / max(pstdev(scores), 1.0)
    of_all = _fitted([0.0] * len(liked), liked).shift
    return Calibration(least, of_all - least * fmean(scores))


def _fitted(scores: Sequence[float], liked: Sequence[bool]) -> Calibration:
    """By Newton's method, its steps halved where they go too far: two numbers, a convex loss."""
    known, both = Calibration(), list(zip(scores, liked, strict=True))
    for _ in range(_STEPS):
        step = _newton(known, both)
        now, share = _loss(known, both), 1.0
        while share > _NEAR and _loss(_moved(known, step, share), both) > now:
            share /= 2
        if share <= _NEAR or max(map(abs, step)) < _NEAR:
            break
        known = _moved(known, step, share)
    return known


def _newton(known: Calibration, both: Sequence[tuple[float, bool]]) -> tuple[float, float]:
    rise, level = _PULL * (known.stretch - 1), _PULL * known.shift
    bend, twist, lift = _PULL, 0.0, _PULL
    for score, up in both:
        chance = known.chance(score)
        wrong, sure = chance - up, chance * (1 - chance)
        rise, level = rise + wrong * score, level + wrong
        bend, twist, lift = bend + sure * score**2, twist + sure * score, lift + sure
    whole = bend * lift - twist**2
    return (lift * rise - twist * level) / whole, (bend * level - twist * rise) / whole


def _moved(known: Calibration, step: tuple[float, float], share: float) -> Calibration:
    return Calibration(known.stretch - share * step[0], known.shift - share * step[1])


def _loss(known: Calibration, both: Sequence[tuple[float, bool]]) -> float:
    apart = (known.stretch - 1) ** 2 + known.shift**2
    lost = sum(_softplus(known.log_odds(one) * (1 - 2 * up)) for one, up in both)
    return _PULL * apart / 2 + lost


def brier(chances: Sequence[float], liked: Sequence[bool]) -> float:
    """The mean squared error (Brier 1950): 0.25 is a coin's."""
    return fmean((chance - up) ** 2 for chance, up in zip(chances, liked, strict=True))


def calibrated_brier(scores: Sequence[float], liked: Sequence[bool]) -> float:
    """Of answers whose calibration knew nothing of them: each half's by the other's."""
    halves = [slice(at, None, 2) for at in range(2)]
    found = []
    for own, other in (halves, halves[::-1]):
        known = calibrate(scores[other], liked[other])
        found += [
            (known.chance(score), up) for score, up in zip(scores[own], liked[own], strict=True)
        ]
    return brier([chance for chance, _ in found], [up for _, up in found])


def _sigmoid(odds: float) -> float:
    return 1 / (1 + exp(-odds)) if odds >= 0 else 1 - 1 / (1 + exp(odds))


def _softplus(odds: float) -> float:
    return max(odds, 0.0) + log1p(exp(-abs(odds)))
