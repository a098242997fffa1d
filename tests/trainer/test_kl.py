from math import log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.adapters import Estimate
from trainer.kl import k1, mean_of, upper, within

logprobs = st.lists(st.floats(-20, 0), min_size=2, max_size=20)


def test_k1_by_hand() -> None:
    # Gains 1, 3: mean 2, standard deviation sqrt(2), over sqrt(2) samples.
    assert k1([-1.0, -2.0], [-2.0, -5.0]) == Estimate(value=2.0, stderr=1.0, n=2)


@given(logprobs)
def test_a_policy_is_at_no_distance_from_itself(own: list[float]) -> None:
    assert k1(own, own).value == 0


def test_k1_finds_the_true_kl_of_a_coin() -> None:
    # A coin that falls 3:1 against a fair one, each outcome as often as it comes.
    policy = [log(0.75)] * 3 + [log(0.25)]
    truth = 0.75 * log(1.5) + 0.25 * log(0.5)
    assert k1(policy, [log(0.5)] * 4).value == pytest.approx(truth)


def test_answers_that_do_not_pair_up_are_refused() -> None:
    with pytest.raises(ValueError):
        k1([0.0], [0.0, 0.0])


def test_the_budget_holds_for_the_unlucky_end_of_the_estimate() -> None:
    estimate = Estimate(value=1.0, stderr=1.0, n=100)
    assert upper(estimate) == pytest.approx(2.645)
    assert within(estimate, 2.7)
    assert not within(estimate, 2.6)


@pytest.mark.parametrize("values", [[], [0.0]])
def test_what_was_not_measured_is_not_within_a_budget(values: list[float]) -> None:
    assert not within(mean_of(values), 1e9)


def test_the_error_shrinks_with_the_root_of_the_samples() -> None:
    few, many = mean_of([0.0, 1.0] * 50), mean_of([0.0, 1.0] * 5000)
    assert few.stderr / many.stderr == pytest.approx(sqrt(100), rel=0.01)
