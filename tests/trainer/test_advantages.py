"""Numbers worked by hand; a plain PPO beside ours; a bandit whose best policy is known."""

from collections.abc import Callable
from math import exp, log

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, tensor

from trainer.advantages import (
    among_group,
    clipped_loss,
    clipped_value_loss,
    gae,
    leave_one_out,
    mean,
    token_rewards,
    truncated,
    whitened,
)

# Of two answers, of three tokens and of one.
THERE = tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])


def test_each_token_pays_and_the_last_one_is_rewarded() -> None:
    penalties = tensor([[0.1, 0.2, 0.3], [0.4, 9.0, 9.0]])
    found = token_rewards(tensor([2.0, -1.0]), THERE, penalties)
    assert found.tolist() == [pytest.approx([-0.1, -0.2, 1.7]), pytest.approx([-1.4, 0.0, 0.0])]


def test_gae_by_hand() -> None:
    """Discount 1/2, smoothing 1/2: surprises of 1 + 1 - 1, 0 + 2 - 2 and 4 - 4, and so on back."""
    rewards, values = (
        tensor([[1.0, 0.0, 4.0], [2.0, 7.0, 7.0]]),
        tensor([[1.0, 2.0, 4.0], [3.0, 9.0, 9.0]]),
    )
    found = gae(rewards, values, THERE, discount=0.5, smooth=0.5)
    # t=2: 4 + 0 - 4 = 0. t=1: 0 + 4/2 - 2 = 0. t=0: 1 + 2/2 - 1 = 1. The other: 2 - 3.
    assert found.tolist() == [[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]
    whole = gae(rewards, values, THERE, discount=1.0, smooth=1.0)  # what came, over the value
    assert whole.tolist() == [[4.0, 2.0, 0.0], [-1.0, 0.0, 0.0]]
    one = gae(rewards, values, THERE, discount=1.0, smooth=0.0)  # one step's surprise
    assert one.tolist() == [[2.0, 2.0, 0.0], [-1.0, 0.0, 0.0]]


def test_group_baselines_by_hand() -> None:
    totals = tensor([[1.0, 2.0, 6.0], [5.0, 5.0, 5.0]])
    assert leave_one_out(totals).tolist() == [pytest.approx([-3.0, -1.5, 4.5]), [0.0, 0.0, 0.0]]
    spread = 7**0.5  # of -2, -1 and 3
    expected = [at / (spread + 1e-4) for at in (-2.0, -1.0, 3.0)]
    assert among_group(totals).tolist() == [pytest.approx(expected), [0.0, 0.0, 0.0]]


def test_whitening_by_hand() -> None:
    found = whitened(tensor([[1.0, 2.0, 3.0], [2.0, 50.0, 50.0]]), THERE)
    root = (2 / 3) ** 0.5  # the variance of 1, 2, 3 and 2 is 2/3
    assert found.tolist() == [
        pytest.approx([-1 / root, 0.0, 1 / root], abs=1e-6),
        pytest.approx([0.0, 0.0, 0.0], abs=1e-6),
    ]


@given(st.lists(st.floats(-100, 100), min_size=3, max_size=3), st.floats(-100, 100))
def test_whitened_values_are_of_mean_0_and_variance_1_and_those_not_there_are_none(
    three: list[float], one: float
) -> None:
    found = whitened(tensor([three, [one, 1e6, -1e6]], dtype=torch.double), THERE.double())
    assert mean(found, THERE).item() == pytest.approx(0.0, abs=1e-5)
    if max(*three, one) - min(*three, one) > 1e-3:  # else there is hardly anything to whiten
        assert found[THERE.bool()].var().item() == pytest.approx(1.0, rel=1e-3)
    assert found[1, 1:].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [
        (1.1, 2.0, -2.2),
        (1.5, 2.0, -2.4),  # no gain beyond 1.2
        (0.5, 2.0, -1.0),  # but a loss is a loss
        (0.5, -2.0, 1.6),  # no gain below 0.8
        (1.5, -2.0, 3.0),
    ],
)
def test_the_clip_by_hand(ratio: float, advantage: float, expected: float) -> None:
    found = clipped_loss(
        tensor([[log(ratio)]]), tensor([[0.0]]), tensor([[advantage]]), tensor([[1.0]]), 0.2
    )
    assert found.item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "old", "returns", "expected"),
    [
        (1.1, 1.0, 2.0, 0.405),
        (2.0, 1.0, 2.0, 0.32),  # it came to 2 faster than it may: as if it were at 1.2
        (0.0, 1.0, 2.0, 2.0),  # and the worse of the two: itself
    ],
)
def test_the_values_clip_by_hand(value: float, old: float, returns: float, expected: float) -> None:
    now, before, came = (tensor([[x]]) for x in (value, old, returns))
    found = clipped_value_loss(now, before, came, tensor([[1.0]]), 0.2)
    assert found.item() == pytest.approx(expected)


def plain(  # as PPO's paper writes it, token by token
    logits: Tensor, tokens: Tensor, sizes: list[int], old: Tensor, rewards: Tensor, values: Tensor
) -> Tensor:
    terms = []
    for row, size in enumerate(sizes):
        advantages, after = [0.0] * size, 0.0
        for at in range(size - 1, -1, -1):
            ahead = float(values[row, at + 1]) if at + 1 < size else 0.0
            after = float(rewards[row, at]) + ahead - float(values[row, at]) + 0.95 * after
            advantages[at] = after
        for at in range(size):
            chances = torch.softmax(logits[row, at], 0)
            ratio = chances[tokens[row, at]] / torch.exp(old[row, at])
            gain = advantages[at]
            terms.append(-torch.min(ratio * gain, torch.clamp(ratio, 0.8, 1.2) * gain))
    return torch.stack(terms).mean()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_a_step_is_that_of_a_plain_ppo(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    sizes = [3, 1, 5]
    there = tensor([[float(at < size) for at in range(5)] for size in sizes]).double()

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.double)

    logits, other = drawn(3, 5, 7).requires_grad_(), drawn(3, 5, 7)
    tokens = torch.randint(7, (3, 5), generator=random)
    old = other.log_softmax(2).gather(2, tokens[..., None])[..., 0]
    rewards, values = drawn(3, 5) * there, drawn(3, 5)
    (expected,) = torch.autograd.grad(plain(logits, tokens, sizes, old, rewards, values), logits)
    advantages = gae(rewards, values, there, discount=1.0, smooth=0.95)
    now = logits.log_softmax(2).gather(2, tokens[..., None])[..., 0]
    (found,) = torch.autograd.grad(clipped_loss(now, old, advantages, there, 0.2), logits)
    assert (found - expected).abs().max() < 1e-6
    assert found.abs().max() > 0


@pytest.mark.parametrize("baseline", [leave_one_out, among_group, None])
def test_a_bandit_of_two_arms_comes_to_the_policy_that_is_known_to_be_best(
    baseline: Callable[[Tensor], Tensor] | None,
) -> None:
    """With a reward of 1 and 0 and a KL of weight 1/2 to a coin: e² to 1 for the first arm."""
    torch.manual_seed(0)
    logits = torch.zeros(2, requires_grad=True)
    value = torch.zeros((), requires_grad=True)
    optimizer = torch.optim.Adam([logits, value], lr=0.05)
    there = torch.ones(256, 1)
    for _ in range(300):
        with torch.no_grad():
            chances = logits.log_softmax(0)
            arms = torch.multinomial(chances.exp(), 256, replacement=True)
            old = chances[arms][:, None]
            penalties = 0.5 * (old - log(0.5))
            rewards = token_rewards((arms == 0).float(), there, penalties)
            values = value.expand(256, 1).clone()
            if baseline:
                advantages = baseline(rewards.view(64, 4)).view(256, 1)
            else:
                advantages = gae(rewards, values, there, discount=1.0, smooth=0.95)
        for _ in range(2):
            loss = clipped_loss(logits.log_softmax(0)[arms][:, None], old, advantages, there, 0.2)
            loss = loss + clipped_value_loss(value.expand(256, 1), values, rewards, there, 0.2)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    best = exp(2) / (1 + exp(2))
    assert logits.softmax(0)[0].item() == pytest.approx(best, abs=0.03)
    if not baseline:  # what the best policy is worth: half of log((e² + 1) / 2)
        assert value.item() == pytest.approx(0.5 * log((exp(2) + 1) / 2), abs=0.05)


def test_a_token_of_another_sampler_counts_by_how_much_likelier_the_learner_finds_it() -> None:
    """Half; once; thrice, and so at most twice."""
    ours, theirs = torch.tensor([0.2, 0.4, 0.6]).log(), torch.tensor([0.4, 0.4, 0.2]).log()
    torch.testing.assert_close(truncated(ours, theirs, 2.0), torch.tensor([0.5, 1.0, 2.0]))
