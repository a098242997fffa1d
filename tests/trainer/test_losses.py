"""Numbers worked by hand."""

from math import log

import pytest
import torch
from torch import tensor

from trainer.losses import drift, kto, kto_baseline, sft, up_weight

LIKED, DISLIKED = tensor([True]), tensor([False])


def one(gain: float, liked: torch.Tensor, *, baseline: float = 0.0, weight: float = 1.0) -> float:
    return kto(
        tensor([gain]), liked, weights=tensor([weight]), baseline=tensor(baseline), beta=1.0
    ).item()


def test_at_the_parent_every_answer_costs_a_half() -> None:
    assert one(0.0, LIKED) == one(0.0, DISLIKED) == 0.5


def test_kto_by_hand() -> None:
    # sigmoid(log 3) = 3/4
    assert one(log(3), LIKED) == pytest.approx(0.25)
    assert one(log(3), DISLIKED) == pytest.approx(0.75)
    assert one(-log(3), DISLIKED) == pytest.approx(0.25)


def test_the_baseline_moves_where_an_answer_breaks_even() -> None:
    assert one(2.0, LIKED, baseline=2.0) == 0.5
    assert one(2.0 + log(3), LIKED, baseline=2.0) == pytest.approx(0.25)


def test_beta_scales_the_gain() -> None:
    gains = tensor([log(3) * 10])
    loss = kto(gains, LIKED, weights=tensor([1.0]), baseline=tensor(0.0), beta=0.1)
    assert loss.item() == pytest.approx(0.25)


def test_weights_scale_each_answer_and_the_mean_is_over_all() -> None:
    loss = kto(
        tensor([log(3), log(3)]),
        tensor([True, False]),
        weights=tensor([2.0, 1.0]),
        baseline=tensor(0.0),
        beta=1.0,
    )
    assert loss.item() == pytest.approx((2 * 0.25 + 0.75) / 2)
    assert one(log(3), LIKED, weight=0.5) == pytest.approx(0.125)


def test_kto_pulls_liked_answers_up_and_disliked_ones_down() -> None:
    gains = torch.zeros(2, requires_grad=True)
    liked = tensor([True, False])
    loss = kto(gains, liked, weights=torch.ones(2), baseline=tensor(0.0), beta=1.0)
    loss.backward()  # type: ignore[no-untyped-call]
    # The slope of the sigmoid at 0 is 1/4, halved by the mean of two.
    assert gains.grad is not None
    assert gains.grad.tolist() == pytest.approx([-0.125, 0.125])


def test_the_baseline_is_never_negative_and_has_no_gradient() -> None:
    gains = tensor([1.0, 3.0], requires_grad=True)
    assert kto_baseline(gains).item() == 2.0
    assert kto_baseline(-gains).item() == 0.0
    assert not kto_baseline(gains).requires_grad


def test_sft_is_the_mean_token_of_the_answers_that_count() -> None:
    logprobs, lengths = tensor([-6.0, -100.0, -4.0]), tensor([3, 50, 2])
    assert sft(logprobs, lengths, tensor([1.0, 0.0, 1.0])).item() == pytest.approx(10 / 5)


def test_sft_of_no_liked_answer_is_nothing() -> None:
    assert sft(tensor([-6.0]), tensor([3]), tensor([0.0])).item() == 0.0


@pytest.mark.parametrize(
    ("ups", "downs", "weight"), [(50, 100, 2.0), (10, 100, 3.0), (100, 10, 1.0), (0, 5, 3.0)]
)
def test_only_a_minority_of_ups_is_lifted_and_not_without_end(
    ups: int, downs: int, weight: float
) -> None:
    assert up_weight(ups, downs, cap=3.0) == weight


def test_drift_is_half_the_mean_square_of_the_gains() -> None:
    assert drift(tensor([1.0, -3.0])).item() == 2.5
