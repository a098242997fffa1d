"""The tests of `ops/evidence.py`, simulated: a thousand trials each, a look after every thumb."""

from math import inf
from random import Random

import pytest

from ops.evidence import SPREAD, Pair, bounds, difference, gain, preference, shrunk
from ops.tally import Tally
from tests.ops.simulated import RATED, Crowd, Found, World, ours, watched

ALPHA = 0.05
# 2.5 standard errors of a thousand trials.
MOST = ALPHA + 2.5 * (ALPHA * (1 - ALPHA) / 1000) ** 0.5

pytestmark = pytest.mark.no_cover


def found(world: World, looks: int, *, seed: int = 1) -> Found:
    return watched(world, looks, {"ours": ours(ALPHA)}, seed=seed)["ours"]


@pytest.mark.parametrize(
    ("rate", "share"), [*((rate, 0.5) for rate in (0.05, 0.3, 0.5, 0.7, 0.95)), (0.3, 0.05)]
)
def test_an_equal_canary_is_rarely_found_different_however_often_one_looks(
    rate: float, share: float
) -> None:
    better, worse = found(World(rate, rate, share), 4000).told
    assert better <= MOST
    assert worse <= MOST


@pytest.mark.parametrize("rate", [0.3, 0.7])
def test_nor_is_it_up_the_steps_of_a_rollout(rate: float) -> None:
    better, worse = found(World(rate, rate, share=None), 4000).told
    assert better <= MOST
    assert worse <= MOST


@pytest.mark.parametrize("share", [0.5, None])
def test_better_days_for_everybody_are_not_the_canarys_doing(share: float | None) -> None:
    better, worse = found(World(0.3, 0.3, share, drift=0.4), 4000).told
    assert better <= MOST
    assert worse <= MOST


@pytest.mark.parametrize(
    "crowd",
    [
        Crowd(240, (1, 1)),
        Crowd(240, (2, 2)),
        Crowd(1000, (1, 1), busy=1.0),
        Crowd(2000, (0.5, 0.5), busy=0.5),
        Crowd(30, (1, 1)),
    ],
    ids=str,
)
@pytest.mark.parametrize("share", [0.5, None])
def test_users_who_give_many_thumbs_are_not_many_users(crowd: Crowd, share: float | None) -> None:
    better, worse = found(World(share=share, crowd=crowd), 3000).told
    assert better <= MOST
    assert worse <= MOST


@pytest.mark.parametrize("share", [0.01, 0.05, 0.25, None])
def test_a_canary_of_20_points_less_is_found_worse_within_320_completions(
    share: float | None,
) -> None:
    seen = found(World(canary=0.5, stable=0.7, share=share), int(110 / (share or 0.01)))
    assert seen.median / RATED <= 320
    assert seen.told[0] <= MOST


def test_a_canary_that_has_half_of_the_users_takes_some_longer() -> None:
    seen = found(World(canary=0.5, stable=0.7), 500)
    assert seen.median / RATED <= 450
    assert seen.told[0] <= MOST


@pytest.mark.parametrize(("more", "power"), [(0.05, 0.6), (0.1, 0.98), (0.2, 0.99)])
def test_a_better_canary_is_found_better(more: float, power: float) -> None:
    better, worse = found(World(0.5 + more, 0.5), 4000).told
    assert better >= power
    assert worse <= MOST


def said(rng: Random, canary: float, first: float, comparisons: int) -> str:
    """Of one trial by comparisons, by a hundred users, each of whom takes what is shown first more
    or less often; one in five is a tie.
    """
    likes = [rng.betavariate(6 * first, 6 * (1 - first)) for _ in range(100)]
    given = [[(0, 0.0, 0.0)] * len(likes) for _ in "ab"]
    strata = [Tally(), Tally()]
    for _ in range(comparisons):
        user, place = rng.randrange(len(likes)), rng.randrange(2)
        taken = likes[user] if place == 0 else 1 - likes[user]
        won = 0.5 if rng.random() < 0.2 else float(rng.random() < taken + canary)
        n, total, squares = before = given[place][user]
        given[place][user] = after = n + 1, total + won, squares + won * won
        strata[place] = strata[place].replaced(before, after)
        low, _, high = bounds(preference(strata), ALPHA)
        if low > 0 or high < 0:
            return "better" if low > 0 else "worse"
    return "undecided"


def test_an_equal_canary_wins_nothing_by_being_shown_first() -> None:
    rng = Random(1)
    told = [said(rng, canary=0.0, first=0.6, comparisons=400) for _ in range(1000)]
    assert told.count("better") / 1000 <= MOST
    assert told.count("worse") / 1000 <= MOST


def test_a_canary_that_wins_more_often_is_found_better() -> None:
    rng = Random(2)
    told = [said(rng, canary=0.15, first=0.6, comparisons=600) for _ in range(200)]
    assert told.count("better") >= 190


def test_outcomes_of_any_kind_are_rarely_found_different() -> None:
    """Seconds, say: most of them few, some of them many."""
    rng = Random(3)
    told = [_outcomes(rng, looks=300) for _ in range(1000)]
    assert told.count("better") / 1000 <= MOST
    assert told.count("worse") / 1000 <= MOST


def _outcomes(rng: Random, looks: int) -> str:
    arms = [Tally(), Tally()]
    for _ in range(looks):
        value, arm = rng.expovariate(0.1), rng.randrange(2)
        arms[arm] = arms[arm] + Tally.alone(1, value, value * value)
        low, _, high = gain([Pair(*arms)], ALPHA)
        if low > 0 or high < 0:
            return "better" if low > 0 else "worse"
    return "undecided"


def test_a_winner_is_shown_as_good_as_it_is() -> None:
    """Where effects are such as the test is made for; what was seen of winners flatters them."""
    rng = Random(4)
    winners = [won for _ in range(3000) if (won := _winner(rng, rng.gauss(0, SPREAD / 2)))]
    flattered = sum(raw - effect for effect, raw, *_ in winners) / len(winners)
    shown = sum((low + high) / 2 - effect for effect, _, low, high in winners) / len(winners)
    covered = sum(low <= effect <= high for effect, _, low, high in winners) / len(winners)
    assert len(winners) > 300
    assert flattered > 0.02
    assert abs(shown) < flattered / 3
    assert covered >= 0.93


def _winner(rng: Random, effect: float) -> tuple[float, float, float, float] | None:
    arms = [Tally(), Tally()]
    for _ in range(40):
        for i, rate in enumerate((0.5 + effect / 2, 0.5 - effect / 2)):
            arms[i] = arms[i] + Tally.rate(sum(rng.random() < rate for _ in range(10)), 10)
        pairs = [Pair(*arms)]
        if gain(pairs, ALPHA).low > 0 and (seen := difference(pairs)):
            low, _, high = shrunk(seen)
            return effect, seen.estimate, low, high
    return None


def test_nothing_that_was_not_found_took_a_time() -> None:
    seen = found(World(0.5, 0.5), 30)
    assert ((seen.canary < inf) == (seen.better | seen.worse)).all()
