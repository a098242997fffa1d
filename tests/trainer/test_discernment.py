from collections.abc import Sequence

import pytest

from tests.trainer.test_opinion import pairs, rows, states
from trainer.discernment import Discernment, discernment, wilson
from trainer.verdicts import Verdict


def test_by_hand() -> None:
    heard = Discernment([2.0, 1.0, -1.0, 0.5], [True, False, False, True], [1.0, -1.0])
    auroc, right = heard.auroc(), heard.accuracy()
    assert auroc is not None and right is not None
    assert auroc.share == 0.75  # of four pairs of an up and a down, one is ordered wrongly
    assert right.share == pytest.approx(4 / 6)  # one of the thumbs is told wrong, and one pair
    assert auroc.low < 0.75 < auroc.high
    assert heard.told().keys() == {
        *("reward_auroc", "reward_auroc_low", "reward_auroc_high"),
        *("reward_accuracy", "reward_accuracy_low", "reward_accuracy_high", "reward_brier"),
        *("reward_order", "reward_order_low", "reward_order_high"),
    }


def test_an_area_is_as_sure_as_hanley_and_mcneil_say() -> None:
    """Of 0.8 with 50 and 50 their error is 0.0448: as of 79.8 independent orders."""
    ups, downs = [1.0] * 40 + [-1.0] * 10, [0.0] * 50
    found = Discernment([*ups, *downs], [True] * 50 + [False] * 50, []).auroc()
    assert found is not None
    two_ups, two_downs = 0.8 / 1.2, 2 * 0.64 / 1.8
    error = ((0.16 + 49 * (two_ups - 0.64) + 49 * (two_downs - 0.64)) / 2500) ** 0.5
    assert error == pytest.approx(0.0446, abs=5e-4)
    assert found == pytest.approx(wilson(0.8, 0.16 / error**2))


@pytest.mark.parametrize("up", [-1.0, 1.0])
def test_without_a_fault_it_is_no_surer_than_of_the_scarcer_side(up: float) -> None:
    found = Discernment([up, 0.0, 0.0, 0.0], [True, False, False, False], []).auroc()
    assert found is not None
    assert found.high - found.low == pytest.approx(0.79, abs=0.01)


def test_wilsons_interval_is_that_of_the_tables() -> None:
    assert wilson(0.8, 10) == pytest.approx((0.8, 0.4902, 0.9433), abs=1e-3)
    assert wilson(1.0, 10) == pytest.approx((1.0, 0.7225, 1.0), abs=1e-3)
    assert wilson(0.0, 1)[1] == 0.0


def test_what_could_not_be_measured_is_not_told() -> None:
    assert Discernment([], [], []).told() == {}
    assert Discernment([1.0, 2.0], [True, True], []).auroc() is None
    assert "reward_auroc" not in Discernment([], [], [1.0]).told()


@pytest.mark.parametrize(
    ("heard", "is_worse"),
    [
        (Discernment([], [], []), False),  # nobody knows
        (Discernment([1.0, -1.0], [False, True], []), False),  # two thumbs say nothing
        (Discernment([1.0, 2.0] * 20, [False, True] * 20, []), False),
        (Discernment([2.0, 1.0] * 20, [False, True] * 20, []), True),
        (Discernment([], [], [-1.0] * 20), True),
        (Discernment([2.0, 1.0] * 20, [False, True] * 20, [1.0] * 20), False),
        (Discernment([2.0, 1.0] * 20, [False, True] * 20, [1.0]), True),  # one saves nothing
        (Discernment([1.0, 2.0] * 20, [False, True] * 20, [-1.0] * 10), False),
        (Discernment([], [], [0.0] * 20), False),  # who is indifferent tells nothing wrong
    ],
)
def test_only_where_it_is_surely_worse_than_chance_nothing_is_learned(
    heard: Discernment, is_worse: bool
) -> None:
    assert bool(heard.is_worse_than_chance()) is is_worse


def test_it_is_asked_of_thumbs_and_of_both_answers_of_pairs() -> None:
    def place(told: Sequence[Verdict]) -> list[float]:
        return [float(n) for one in told for n, _ in enumerate(one.answers)]

    held: list[Verdict] = [*rows(states(4)), *pairs(2)]
    heard = discernment(place, held)
    assert (heard.odds, heard.leads) == ([0.0] * 4, [-1.0] * 2)
    assert heard.liked == [row.liked for row in rows(states(4))]


def test_orders_of_thumbs_and_pairs_are_pooled() -> None:
    """One thumb more does not make the pairs mute."""
    for odds, liked in ([], []), ([1.0], [True]):
        right = Discernment(odds, liked, [1.0, 1.0, 1.0, -1.0]).orders()
        assert right is not None and right.share == 0.75
    both = Discernment([-1.0, 1.0], [True, False], [1.0, 1.0, 1.0]).orders()
    assert both is not None and both.share == 0.75
    assert Discernment([1.0], [True], []).orders() is None
