import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.held_out import Orders, Thumbs, accuracy, gap, held_out_gates, held_out_scores
from trainer.plan import Plan

PLAN = Plan(min_holdout=3)
GAINS = st.integers(-3, 3).map(float)  # with ties


def passed(ups: list[float], downs: list[float]) -> dict[str, bool]:
    return {gate.name: gate.passed for gate in held_out_gates(Thumbs(ups, downs), PLAN)}


def test_the_gap_by_hand() -> None:
    # Means 2 and 0; both variances 2, two of each: error sqrt(2 * (1/2 + 1/2)).
    found = gap([1.0, 3.0], [-1.0, 1.0])
    assert (found.value, found.n) == (2.0, 4)
    assert found.stderr == pytest.approx(2**0.5)


def test_a_gap_of_nearly_nothing_is_told_as_what_it_is() -> None:
    gate, _ = held_out_gates(Thumbs([0.001, 0.002, 0.003], [0.0, 0.001, 0.002]), PLAN)
    assert "gained +1.0e-03 ± 8.2e-04 nats" in gate.reason
    gate, _ = held_out_gates(Thumbs([0.0] * 3, [0.0] * 3), PLAN)
    assert "gained +0.0e+00 ± 0.0e+00 nats" in gate.reason
    gate, _ = held_out_gates(Thumbs([1.0, 2.0, 3.0], [0.0, 1.0, 2.0]), PLAN)
    assert "gained +1.00 ± 0.82 nats" in gate.reason


def test_the_accuracy_by_hand() -> None:
    # Of the pairs 1>0, 1=1, 3>0, 3>1: three and a half of four.
    assert accuracy([1.0, 3.0], [0.0, 1.0]).share == 3.5 / 4


@given(st.lists(GAINS, min_size=1), st.lists(GAINS, min_size=1))
def test_the_accuracy_is_that_of_all_pairs(ups: list[float], downs: list[float]) -> None:
    pairs = [(up > down) + (up == down) / 2 for up in ups for down in downs]
    assert accuracy(ups, downs).share == pytest.approx(sum(pairs) / len(pairs))


def test_the_parents_own_accuracy_is_one_half() -> None:
    assert accuracy([0.0] * 5, [0.0] * 7).share == 0.5


def test_the_interval_by_hand() -> None:
    # Five of each: 2.576 sqrt(11 / 300) is 0.4933 to either side.
    found = accuracy([0.0] * 5, [0.0] * 5)
    assert (found.low, found.high) == pytest.approx((0.0067, 0.9933), abs=1e-4)
    assert accuracy([-1.0] * 5, [1.0] * 5)[:2] == (0.0, 0.0)


def test_a_candidate_no_better_than_chance_passes() -> None:
    # Where nine of ten answers are liked, most downs are slips.
    assert all(passed([0.0, 1.0, -1.0, 0.2], [0.1, 1.1, -0.8]).values())


def test_one_wild_answer_hides_a_turned_taste_from_the_gap_but_not_from_the_accuracy() -> None:
    ups, downs = [-1.0] * 11 + [60.0], [1.0] * 12
    assert passed(ups, downs) == {"held_out": True, "held_out_accuracy": False}


def test_four_of_each_all_wrong_are_too_few_to_be_sure() -> None:
    assert passed([-1.0] * 4, [1.0] * 4)["held_out_accuracy"]
    assert not passed([-1.0] * 5, [1.0] * 5)["held_out_accuracy"]


def test_three_ups_below_all_of_many_downs_are_enough() -> None:
    assert not passed([-1.0] * 3, [1.0] * 300)["held_out_accuracy"]


def test_the_share_of_pairs_ordered_rightly_by_hand() -> None:
    # Two of four are right and one is a tie. 2.576 / (2 * 2) is 0.644 to either side.
    held = Orders([[2.0], [1.0], [0.0], [-1.0]])
    assert held.accuracy() == (2.5 / 4, 0.0, 1.0)
    assert held.gap().value == 0.5
    assert held.gap().stderr == pytest.approx((5 / 3) ** 0.5 / 2)
    assert dict(held_out_scores(held)) == {"held_out_gap": 0.5, "held_out_accuracy": 0.625}


def test_a_ranking_counts_as_much_as_a_pair() -> None:
    held = Orders([[1.0, 1.0, -1.0, 1.0], [-2.0]], "lists")
    assert held.accuracy().share == (3 / 4 + 0) / 2
    assert held.gap().value == (2 / 4 - 2) / 2
    assert held.seen == "2 rankings held out"


def test_pairs_that_surely_turned_fail_and_slips_do_not() -> None:
    def fates(right: int, wrong: int) -> list[bool]:
        held = Orders([[1.0]] * right + [[-1.0]] * wrong)
        return [gate.passed for gate in held_out_gates(held, PLAN)]

    assert fates(10, 10) == [True, True]
    assert fates(9, 11) == [True, True]
    assert fates(5, 25) == [False, False]
