from math import e, exp, inf, log, nan, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.adapters import Estimate
from trainer.endings import NotFinite
from trainer.kl import adapted, drift_of, k1, k2, k3, mean_of, upper, within

logprobs = st.lists(st.floats(-20, 0), min_size=2, max_size=20)


def test_k1_by_hand() -> None:
    # Gains 1, 3: mean 2, standard deviation sqrt(2), over sqrt(2) samples.
    assert k1([-1.0, -2.0], [-2.0, -5.0]) == Estimate(value=2.0, stderr=1.0, n=2)


def test_k2_by_hand() -> None:
    # Gains 1, -3: halves of their squares are 0.5 and 4.5.
    assert k2([-1.0, -5.0], [-2.0, -2.0]) == Estimate(value=2.5, stderr=2.0, n=2)


def test_k3_by_hand() -> None:
    # The reference finds the first e times as likely, the second as likely: e - 2 and 0.
    found = k3([-2.0, -1.0], [-1.0, -1.0])
    assert found.value == pytest.approx((e - 2) / 2)
    assert found.stderr == pytest.approx((e - 2) / 2)


def test_an_answer_that_the_policy_all_but_forgot_does_not_decide_k3() -> None:
    near = k3([-5.0, -1.0], [0.0, -1.0]).value
    assert near == pytest.approx((e**5 - 6) / 2)
    assert k3([-900.0, -1.0], [0.0, -1.0]).value == near
    # The other way round nothing explodes, and nothing is clamped: exp(-900) - 1 + 900.
    assert k3([0.0, -1.0], [-900.0, -1.0]).value == pytest.approx(899 / 2)


@given(logprobs)
def test_a_policy_is_at_no_distance_from_itself(own: list[float]) -> None:
    assert k1(own, own).value == k2(own, own).value == k3(own, own).value == 0


@given(st.lists(st.tuples(st.floats(-2000, 0), st.floats(-2000, 0)), min_size=2, max_size=20))
def test_k2_and_k3_are_never_negative(pairs: list[tuple[float, float]]) -> None:
    policy, reference = zip(*pairs, strict=True)
    assert k2(policy, reference).value >= 0
    assert k3(policy, reference).value >= 0


@pytest.mark.parametrize(
    ("kl", "weight"),
    [(0.0, 0.8), (1.9, 0.95), (2.0, 1.0), (2.2, 1.1), (100.0, 1.2), (-5.0, 0.8)],
)
def test_a_penalty_weighs_a_fifth_more_or_less_at_most(kl: float, weight: float) -> None:
    assert adapted(10.0, kl, 2.0) == pytest.approx(10 * weight)
    assert adapted(0.0, kl, 2.0) == 0


def test_k1_and_k3_find_the_true_kl_of_a_coin() -> None:
    # A coin that falls 3:1 against a fair one, each outcome as often as it comes.
    policy = [log(0.75)] * 3 + [log(0.25)]
    truth = 0.75 * log(1.5) + 0.25 * log(0.5)
    assert k1(policy, [log(0.5)] * 4).value == pytest.approx(truth)
    assert k3(policy, [log(0.5)] * 4).value == pytest.approx(truth)


def test_k2_is_near_the_true_kl_where_two_coins_are_near() -> None:
    policy = [log(0.51)] * 51 + [log(0.49)] * 49
    truth = 0.51 * log(1.02) + 0.49 * log(0.98)
    assert k2(policy, [log(0.5)] * 100).value == pytest.approx(truth, rel=0.01)


def test_answers_that_do_not_pair_up_are_refused() -> None:
    for kl in (k1, k2, k3):
        with pytest.raises(ValueError):
            kl([0.0], [0.0, 0.0])


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


@pytest.mark.parametrize("strange", [nan, inf, -inf])
def test_a_gain_that_is_no_number_is_named(strange: float) -> None:
    for kl in (k1, k2):
        with pytest.raises(NotFinite, match="what an answer gained is"):
            kl([strange, 1.0], [0.0, 0.0])


def test_a_drift_is_told_by_each_estimator_to_each_reference() -> None:
    drift = drift_of([0.0, 0.0], [-1.0, -1.0], [-2.0, -2.0])
    assert (drift.kl_parent.value, drift.kl_base.value) == (1.0, 2.0)
    assert (drift.kl_parent_k2.value, drift.kl_base_k2.value) == (0.5, 2.0)
    assert drift.kl_base_k3.value == pytest.approx(exp(-2.0) - 1 + 2)
