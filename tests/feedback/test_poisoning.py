"""What the guard is worth against simulated abuse, small and seeded. More: docs/experiments.md."""

from dataclasses import replace

import pytest

from feedback.guard import Rules
from tests.bench.poisoning import HONEST, STRATEGIES, Habits, Result, measure, simulate

pytestmark = pytest.mark.integration

SMALL = Habits(users=200, angry=0)


def attacked(name: str) -> Result:
    """By a tenth of the users."""
    return measure(simulate(SMALL, STRATEGIES[name], 0.1, seed=0), Rules())


def test_the_harm_is_there_without_a_guard() -> None:
    for name in STRATEGIES:
        found = attacked(name)
        assert (name, found.without.wrong > 0.13, found.without.canary > 0.03) == (name, True, True)


def test_sock_puppets_are_all_caught_and_do_no_harm() -> None:
    found = attacked("sock puppets, 10 answers")
    assert found.caught == 1
    assert found.guarded.wrong < 0.11
    assert abs(found.guarded.canary) < 0.01


def test_bursts_are_cut_to_less_than_half() -> None:
    found = attacked("flip in bursts of 30")
    assert found.caught > 0.5
    assert found.guarded.wrong - 0.1 < (found.without.wrong - 0.1) / 2


def test_who_pushes_one_adapter_hardly_moves_it() -> None:
    found = attacked("canary up, else honest")
    assert found.caught > 0.5
    assert found.guarded.canary < found.without.canary / 2


def test_a_quiet_flipper_is_not_caught() -> None:
    """Not what anybody wants: it is said here so that nobody counts on it."""
    assert attacked("flip quietly").caught == 0


@pytest.mark.parametrize(
    "crowd",
    [SMALL, replace(SMALL, angry=0.4), replace(SMALL, differ=2)],
    ids=["one taste", "many only click when angry", "tastes differ"],
)
def test_honest_users_are_hardly_ever_hit(crowd: Habits) -> None:
    for seed in range(3):
        assert measure(simulate(crowd, HONEST, 0, seed), Rules()).hit < 0.01


def test_where_few_only_click_when_angry_they_are_taken_for_abusers() -> None:
    """Nor this: an operator may release them."""
    found = measure(simulate(replace(SMALL, angry=0.1), HONEST, 0, seed=0), Rules())
    assert found.hit > 0.01


def test_an_attack_hits_no_honest_users_beside() -> None:
    assert all(attacked(name).hit < 0.01 for name in STRATEGIES)


def test_a_seed_is_a_simulation() -> None:
    twice = [simulate(SMALL, STRATEGIES["flip quietly"], 0.1, seed=0) for _ in range(2)]
    assert twice[0] == twice[1] != simulate(SMALL, STRATEGIES["flip quietly"], 0.1, seed=1)
