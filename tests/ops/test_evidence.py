"""The tests on what users said, by hand and at their edges. `test_peeking.py` simulates them."""

from collections.abc import Sequence
from math import inf, isnan, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.evidence import (
    UNKNOWN,
    Pair,
    Thumbs,
    detectable,
    difference,
    gain,
    preference,
    shrunk,
    wilson,
    win,
)
from ops.tally import RATE, Tally, apart, excess, mean
from tests.ops.simulated import bounds

counts = st.integers(0, 500).flatmap(
    lambda total: st.builds(Thumbs, st.integers(0, total), st.just(total))
)
# Of one user: as many thumbs or ties.
users = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=9)
tallies = st.lists(users, max_size=9).map(
    lambda all_said: Tally.of((len(s), sum(s), sum(v * v for v in s)) for s in all_said)
)
outcomes = st.lists(st.floats(-1000, 1000), min_size=1, max_size=30).map(
    lambda said: Tally.alone(len(said), sum(said), sum(value * value for value in said))
)
pairs = st.lists(st.builds(Pair, tallies, tallies), max_size=4)


def rates(canary: tuple[int, int], stable: tuple[int, int]) -> Pair:
    return Pair(Tally.rate(*canary), Tally.rate(*stable))


@given(pairs)
def test_what_is_simulated_is_the_test(said: list[Pair]) -> None:
    arrays = np.zeros((7, 1, max(len(said), 1), 2))
    for i, pair in enumerate(said):
        arrays[:, 0, i, :] = np.transpose(pair)
    (estimate,), (half,) = bounds(arrays, 0.05)
    found = gain(said, 0.05)
    assert (found.low, found.high) == pytest.approx((estimate - half, estimate + half))


def test_pairs_weigh_as_much_as_their_smaller_arm_lets_them() -> None:
    # Weights 10*90/100 = 9 and 50*50/100 = 25; rates drawn in by one thumb of each kind.
    first, second = 6 / 12 - 10 / 92, 31 / 52 - 21 / 52
    found = gain([rates((5, 10), (9, 90)), rates((30, 50), (20, 50))], 0.05)
    assert found.estimate == pytest.approx((9 * first + 25 * second) / 34)


def test_bounds_by_hand() -> None:
    pair = rates((31, 62), (31, 62))  # 32 of 64
    each = 0.25 / 62 + max(0.25 * (62 + 2) / 62**2 - 0.25 / 62, 0)
    variance, mixture = 2 * each, 0.25 / 9
    grown = variance + mixture
    half = sqrt(2 * variance * grown / mixture * (log(10) + log(grown / variance) / 2))
    assert gain([pair], 0.05) == pytest.approx((-half, 0, half))


def test_nothing_is_known_without_words_on_both_sides() -> None:
    assert gain([], 0.05) == UNKNOWN
    assert gain([Pair(Tally(), Tally.rate(5, 9))], 0.05) == UNKNOWN
    assert gain([Pair(Tally.rate(5, 9), Tally())], 0.05) == UNKNOWN
    assert detectable(None, 0.05) == inf
    assert shrunk(None) == UNKNOWN


def test_numbers_that_never_vary_say_nothing_of_how_far_they_could() -> None:
    assert gain([Pair(Tally.alone(9, 63, 441), Tally.alone(9, 63, 441))], 0.05) == UNKNOWN


@given(pairs | st.lists(st.builds(Pair, outcomes, outcomes), max_size=3))
def test_the_gain_mirrors_when_the_arms_change_places(said: list[Pair]) -> None:
    there, back = gain(said, 0.05), gain([Pair(two, one) for one, two in said], 0.05)
    assert there.low == pytest.approx(-back.high, rel=1e-6, abs=1e-6)
    assert there.low <= there.estimate <= there.high


def test_the_unit_of_an_outcome_does_not_matter() -> None:
    def found(unit: float) -> Sequence[float]:
        arms = ([unit * value for value in arm] for arm in ([9, 2, 4, 4, 7], [3, 1, 2, 2, 4]))
        return gain([Pair(*(Tally.of((1, v, v * v) for v in arm) for arm in arms))], 0.05)

    assert found(1000) == pytest.approx([1000 * value for value in found(1)])
    assert found(1)[1] > 0


def test_few_users_with_many_thumbs_decide_nothing() -> None:
    stable = Tally.rate(700, 1000)
    assert gain([Pair(Tally.of([(200, 0, 0)] * 3), stable)], 0.05).high > 0
    assert gain([Pair(Tally.rate(0, 600), stable)], 0.05).high < 0


def test_a_user_seen_in_two_revisions_is_not_two() -> None:
    """What one of them knows of the canary, both together know: no more."""
    arm = Tally.of([(9, 9, 9)] * 30 + [(9, 0, 0)] * 30)
    one, two = difference([Pair(arm, arm)]), difference([Pair(arm, arm)] * 2)
    assert one and two
    shared = 2 * excess(arm, RATE)
    assert one.variance == pytest.approx(shared + 2 * apart(arm, RATE))
    assert two.variance == pytest.approx(shared + apart(arm, RATE))


def test_a_liking_for_what_is_shown_first_cancels() -> None:
    # 60% take what is shown first, whoever wrote it; first comes the canary four times in five.
    found = win([Tally.rate(240, 400), Tally.rate(40, 100)], 0.05)
    assert found.estimate == pytest.approx((241 / 402 + 41 / 102) / 2 - 0.5)
    assert found.low < 0 < found.high


def test_wins_are_unknown_until_it_was_shown_at_both_places() -> None:
    assert win([], 0.05) == UNKNOWN
    assert win([Tally.rate(90, 100)], 0.05) == UNKNOWN
    assert win([Tally.rate(90, 100), Tally()], 0.05) == UNKNOWN
    assert win([Tally.rate(90, 100), Tally.rate(80, 100)], 0.05).low > 0


def test_ties_are_half_wins_and_vary_less() -> None:
    ties = [Tally.alone(100, 50, 25)] * 2
    decided = [Tally.rate(50, 100)] * 2
    assert win(ties, 0.05).estimate == pytest.approx(0)
    assert win(ties, 0.05).high < win(decided, 0.05).high


@given(st.lists(tallies, min_size=2, max_size=2))
def test_wins_mirror_when_the_arms_change_places(strata: list[Tally]) -> None:
    def lost(won: Tally) -> Tally:
        """The same comparisons, as the other arm has them."""
        users, n, total, nn, nt, tt, squares = won
        return Tally(users, n, n - total, nn, nn - nt, nn - 2 * nt + tt, n - 2 * total + squares)

    there, back = win(strata, 0.05), win([lost(one) for one in strata], 0.05)
    assert there.low == pytest.approx(-back.high)
    assert mean(strata[0], RATE) == pytest.approx(1 - mean(lost(strata[0]), RATE))


def test_more_data_detects_less() -> None:
    few = difference([rates((30, 60), (30, 60))])
    many = difference([rates((3000, 6000), (3000, 6000))])
    assert 0.03 < detectable(many, 0.05) < detectable(few, 0.05) < 0.5
    assert detectable(few, 0.05, power=0.9) > detectable(few, 0.05) > detectable(few, 0.1)


def test_what_is_shown_is_drawn_in_by_as_much_as_it_is_uncertain() -> None:
    seen = difference([rates((36, 40), (20, 40))])
    assert seen
    kept = seen.mixture / (seen.mixture + seen.variance)
    low, estimate, high = shrunk(seen)
    assert estimate == pytest.approx(kept * seen.estimate)
    assert high - low == pytest.approx(2 * 1.959964 * sqrt(kept * seen.variance))
    assert 0 < estimate < seen.estimate


def test_the_preference_is_shown_likewise() -> None:
    seen = preference([Tally.rate(60, 100), Tally.rate(70, 100)])
    assert seen
    assert 0 < shrunk(seen).estimate < seen.estimate


@given(counts)
def test_wilson_holds_its_rate_and_stays_between_0_and_1(thumbs: Thumbs) -> None:
    low, rate, high = wilson(thumbs)
    assert -1e-9 <= low <= high <= 1 + 1e-9
    assert isnan(rate) if thumbs.total == 0 else low <= rate <= high


def test_wilson_by_hand() -> None:
    # 8 of 10: centre (0.8 + 0.19207) / 1.38415, half 1.95996 / 1.38415 * sqrt(0.016 + 0.0096036)
    low, rate, high = wilson(Thumbs(8, 10))
    assert (low, rate, high) == pytest.approx((0.4901625, 0.8, 0.9433178), abs=1e-6)
