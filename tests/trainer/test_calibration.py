from math import exp, log
from random import Random

import pytest

from trainer.calibration import Calibration, brier, calibrate, calibrated_brier


def drawn(count: int, stretch: float, shift: float) -> tuple[list[float], list[bool]]:
    random = Random(0)
    scores = [random.gauss(0, 2) for _ in range(count)]
    liked = [random.random() < 1 / (1 + exp(-stretch * one - shift)) for one in scores]
    return scores, liked


@pytest.mark.parametrize(("stretch", "shift"), [(1.0, 0.0), (0.3, 0.5), (2.0, -1.0)])
def test_it_finds_how_the_chances_were_made(stretch: float, shift: float) -> None:
    found = calibrate(*drawn(20_000, stretch, shift))
    assert found.stretch == pytest.approx(stretch, rel=0.1)
    assert found.shift == pytest.approx(shift, abs=0.1)


def test_by_hand() -> None:
    """Three of four liked at a score of 0: only the shift is moved, to where its loss is flat."""
    found = calibrate([0.0] * 4, [True, True, True, False])
    assert found.stretch == pytest.approx(1.0)
    chance = found.chance(0.0)
    assert 4 * chance - 3 + found.shift == pytest.approx(0.0, abs=1e-6)
    assert found.shift == pytest.approx(log(chance / (1 - chance)))


def test_what_is_ordered_without_fault_has_an_end_all_the_same() -> None:
    found = calibrate([-1.0, -1.0, 1.0, 1.0], [False, False, True, True])
    assert 1 < found.stretch < 3
    assert found.shift == pytest.approx(0.0, abs=1e-6)


def test_however_large_the_scores_it_comes_to_an_end() -> None:
    """Newton's whole steps would go from one side to the other, farther each time."""
    found = calibrate([-900.0, 300.0, 1200.0, 700.0] * 30, [False, True, False, True] * 30)
    assert 0 < found.stretch < 0.1
    assert 0.4 < found.chance(300.0) < 0.9


def test_scores_are_never_turned_around() -> None:
    found = calibrate([3.0, 1.0] * 20, [False, True] * 20)
    assert found.stretch == 0.1
    assert found.chance(2.0) == pytest.approx(0.5)  # as many are liked


def test_where_nothing_is_known_scores_are_taken_at_their_word() -> None:
    assert calibrate([], []) == Calibration(1.0, 0.0)
    assert Calibration().chance(0.0) == 0.5
    assert Calibration().chance(800.0) == 1.0
    assert Calibration().chance(-800.0) == 0.0


def test_a_coins_error_is_a_quarter() -> None:
    assert brier([0.5, 0.5], [True, False]) == 0.25
    assert brier([1.0, 0.0, 1.0, 0.0], [True, False, False, True]) == 0.5


def test_no_half_is_calibrated_by_itself() -> None:
    """Overconfident scores: taken at their word they are worse than when they are calibrated."""
    scores, liked = drawn(2_000, 0.3, 0.0)
    bold = brier([Calibration().chance(one) for one in scores], liked)
    assert calibrated_brier(scores, liked) < bold - 0.02
    # Each half knows the other alone: the first's are all liked, and the second's none.
    assert calibrated_brier([0.0] * 40, [True, False] * 20) > 0.6
