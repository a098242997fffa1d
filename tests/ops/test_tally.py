"""Sums by user: kept up to date, in any order, and never too sure of few users."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.tally import RATE, Padding, Sums, Tally, apart, excess, mean, spread

values = st.lists(st.sampled_from([0.0, 0.5, 1.0]) | st.floats(-100, 100), max_size=8)
raters = st.lists(values, min_size=1, max_size=8)


def sums(said: Sequence[float]) -> Sums:
    return len(said), sum(said), sum(value * value for value in said)


def tally(said: Sequence[Sequence[float]]) -> Tally:
    return Tally.of(map(sums, said))


@given(raters, values)
def test_a_user_who_says_something_else_counts_as_if_it_had_been_said_at_first(
    said: list[list[float]], other: list[float]
) -> None:
    changed = tally(said).replaced(sums(said[0]), sums(other))
    assert changed == pytest.approx(tally([other, *said[1:]]), abs=1e-6)


@given(raters, st.randoms())
def test_the_order_of_users_does_not_matter(said: list[list[float]], random: Random) -> None:
    other = said.copy()
    random.shuffle(other)
    assert tally(said) == pytest.approx(tally(other), abs=1e-6)


@given(values)
def test_values_by_different_users_are_alone(said: list[float]) -> None:
    assert Tally.alone(*sums(said)) == pytest.approx(tally([[value] for value in said]), abs=1e-6)


def test_two_arms_add_up_and_who_said_nothing_is_nobody() -> None:
    one, two = tally([[1, 0], [1]]), tally([[], [0]])
    assert one == (2, 3, 2, 5, 3, 2, 2)  # 2² + 1²; 2 · 1 + 1 · 1; 1² + 1²
    assert sum([one, two], Tally()) == tally([[1, 0], [1], [0]])
    assert two == Tally.rate(0, 1)


def test_three_thumbs_of_one_kind_are_as_four_of_five() -> None:
    assert mean(Tally.rate(3, 3), RATE) == 0.8
    assert spread(Tally.rate(3, 3), RATE) == pytest.approx(0.8 * 0.2)
    assert apart(Tally.rate(3, 3), RATE) == pytest.approx(0.8 * 0.2 / 3)


def test_three_outcomes_of_one_kind_vary_as_others_do() -> None:
    # 7, 7, 7 and one each of 5 and 9 make a mean of 7 and a variance of 8 / 5.
    assert spread(tally([[7, 7, 7]]), Padding(7, 2)) == pytest.approx(1.6)


def test_users_of_one_mind_weigh_as_one_thumb_each() -> None:
    # Every user gives ten thumbs, all of one kind: a hundred users, half of them pleased.
    said = tally([[1.0] * 10] * 50 + [[0.0] * 10] * 50)
    variance = apart(said, RATE) + excess(said, RATE)
    assert variance == pytest.approx(0.25 / 100, rel=0.03)
    # As many thumbs by as many users would look ten times surer.
    assert apart(said, RATE) == pytest.approx(0.25 / 1000, rel=0.03)


@pytest.mark.parametrize("users", [1, 2, 3])
def test_few_users_are_never_certain_however_much_they_say(users: int) -> None:
    said = tally([[1.0] * 1000] * users)
    assert (apart(said, RATE) + excess(said, RATE)) ** 0.5 > 0.7 / users


@given(st.lists(st.integers(1, 9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))))
def test_thumbs_are_never_surer_than_if_they_were_independent(said: list[tuple[int, int]]) -> None:
    found = Tally.of((n, ups, ups) for ups, n in said)
    if found.n:
        assert excess(found, RATE) >= 0
        assert apart(found, RATE) >= apart(Tally.rate(int(found.total), found.n), RATE)
