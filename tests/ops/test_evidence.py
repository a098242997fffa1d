"""The tests on thumbs: simulated, and at their edges."""

import random
from math import inf, isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.evidence import Pair, Thumbs, gain, wilson

counts = st.integers(0, 500).flatmap(
    lambda total: st.builds(Thumbs, st.integers(0, total), st.just(total))
)


def peeked_at(
    canary: float, stable: float, rng: random.Random, looks: int, *, drift: float = 0.0
) -> str:
    """One trial, tested after every thumb: what it was found to be, and it stops there.

    After 100 thumbs the canary's share grows, and by `drift` everybody's rate.
    """
    steps = [Pair(Thumbs(), Thumbs()), Pair(Thumbs(), Thumbs())]
    for i in range(looks):
        step = int(i >= 100)
        on_canary = rng.random() < (0.1, 0.5)[step]
        arm = "canary" if on_canary else "stable"
        before: Thumbs = getattr(steps[step], arm)
        up = rng.random() < (canary if on_canary else stable) + drift * step
        after = Thumbs(before.up + up, before.total + 1)
        steps[step] = steps[step]._replace(**{arm: after})
        found = gain(steps, alpha=0.05)
        if found.low > 0:
            return "better"
        if found.high < 0:
            return "worse"
    return "undecided"


@pytest.mark.integration
@pytest.mark.parametrize("rate", [0.05, 0.25, 0.8])
def test_an_equal_canary_is_rarely_found_different_however_often_one_looks(rate: float) -> None:
    rng = random.Random(1)
    found = [peeked_at(rate, rate, rng, looks=400) for _ in range(200)]
    # 5% of 200 is 10; 17 leaves room for the chance of this simulation (2.3 standard errors).
    assert found.count("better") <= 17
    assert found.count("worse") <= 17


@pytest.mark.integration
def test_better_days_for_everybody_are_not_the_canarys_doing() -> None:
    rng = random.Random(4)
    found = [peeked_at(0.5, 0.5, rng, looks=400, drift=0.25) for _ in range(200)]
    assert found.count("better") <= 17
    assert found.count("worse") <= 17


def test_pairs_weigh_as_much_as_their_smaller_arm_lets_them() -> None:
    # Weights 10*90/100 = 9 and 50*50/100 = 25; rates drawn in by one thumb of each kind.
    pairs = [Pair(Thumbs(5, 10), Thumbs(9, 90)), Pair(Thumbs(30, 50), Thumbs(20, 50))]
    first, second = 6 / 12 - 10 / 92, 31 / 52 - 21 / 52
    assert gain(pairs, 0.05).estimate == pytest.approx((9 * first + 25 * second) / 34)


@pytest.mark.integration
def test_a_canary_of_the_opposite_taste_is_always_found_out_and_never_promoted() -> None:
    rng = random.Random(2)
    found = [peeked_at(0.2, 0.8, rng, looks=400) for _ in range(100)]
    assert found == ["worse"] * 100


@pytest.mark.integration
def test_a_much_better_canary_is_found_better() -> None:
    rng = random.Random(3)
    found = [peeked_at(0.8, 0.5, rng, looks=800) for _ in range(100)]
    assert found.count("better") >= 98


def test_nothing_is_known_without_thumbs_on_both_sides() -> None:
    assert gain([], 0.05) == (-inf, 0.0, inf)
    assert gain([Pair(Thumbs(), Thumbs(5, 9))], 0.05) == (-inf, 0.0, inf)
    assert gain([Pair(Thumbs(5, 9), Thumbs())], 0.05) == (-inf, 0.0, inf)


@given(counts, counts)
def test_the_gain_mirrors_when_the_arms_change_places(one: Thumbs, two: Thumbs) -> None:
    there, back = gain([Pair(one, two)], 0.05), gain([Pair(two, one)], 0.05)
    assert there.low == pytest.approx(-back.high)
    assert there.low <= there.estimate <= there.high


@given(counts)
def test_wilson_holds_its_rate_and_stays_between_0_and_1(thumbs: Thumbs) -> None:
    low, rate, high = wilson(thumbs)
    assert -1e-9 <= low <= high <= 1 + 1e-9
    assert isnan(rate) if thumbs.total == 0 else low <= rate <= high


def test_wilson_by_hand() -> None:
    # 8 of 10: centre (0.8 + 0.19207) / 1.38415, half 1.95996 / 1.38415 * sqrt(0.016 + 0.0096036)
    low, rate, high = wilson(Thumbs(8, 10))
    assert (low, rate, high) == pytest.approx((0.4901625, 0.8, 0.9433178), abs=1e-6)
