"""How much better each token did than was to be expected: what policy gradients learn from. Pure.

Of answers row by row, (B, A); `there` says which tokens an answer has.
"""

import torch
from torch import Tensor


def token_rewards(scores: Tensor, there: Tensor, penalties: Tensor) -> Tensor:
    """(B, A): each token pays its penalty, and the last one gets the answer's score, (B,)."""
    last = there.sum(1).long() - 1
    got = torch.zeros_like(penalties)
    got[torch.arange(len(scores), device=scores.device), last] = scores
    return (got - penalties) * there


def gae(
    rewards: Tensor, values: Tensor, there: Tensor, *, discount: float, smooth: float
) -> Tensor:
    """(B, A) by generalised advantage estimation (Schulman 2016). After the end comes nothing."""
    values = values * there
    found, after, ahead = torch.zeros_like(rewards), rewards[:, 0] * 0, rewards[:, 0] * 0
    for at in reversed(range(rewards.shape[1])):
        surprise = rewards[:, at] + discount * ahead - values[:, at]
        after = (surprise + discount * smooth * after) * there[:, at]
        found[:, at], ahead = after, values[:, at]
    return found


def leave_one_out(totals: Tensor) -> Tensor:
    """RLOO (Ahmadian 2024): (P, K) answers to each prompt, each over the mean of the others."""
    return (totals - totals.mean(1, keepdim=True)) * (totals.shape[1] / (totals.shape[1] - 1))


def among_group(totals: Tensor) -> Tensor:
    """GRPO (Shao 2024): (P, K), over their prompt's mean, in its deviations."""
    apart = totals - totals.mean(1, keepdim=True)
    return apart / (totals.std(1, keepdim=True) + 1e-4)  # as TRL has it


def whitened(values: Tensor, there: Tensor) -> Tensor:
    """Of mean 0 and variance 1 over the tokens that are there."""
    some = values[there.bool()]
    spread = some.std() if len(some) > 1 else torch.zeros_like(some.mean())
    return (values - some.mean()) / (spread + 1e-8) * there


def truncated(ours: Tensor, theirs: Tensor, most: float) -> Tensor:
    """What each token counts that another sampler drew than the one who learns: the ratio of its
    chances, at most so much (Ionides 2008). An engine and a trainer never compute quite the same.
    """
    return (ours - theirs).exp().clamp(max=most)


def clipped_loss(
    logprobs: Tensor, old: Tensor, advantages: Tensor, there: Tensor, clip: float
) -> Tensor:
    """PPO's (Schulman 2017), the mean over tokens: no gain beyond a ratio of 1 ± clip."""
    ratios = (logprobs - old).exp()
    bounded = ratios.clamp(1 - clip, 1 + clip)
    found: Tensor = -torch.minimum(ratios * advantages, bounded * advantages)
    return mean(found, there)


def clipped_value_loss(
    values: Tensor, old: Tensor, returns: Tensor, there: Tensor, clip: float
) -> Tensor:
    """Half the squared error; where it is worse, of the value kept within `clip` of the old."""
    near = old + (values - old).clamp(-clip, clip)
    return mean(torch.maximum((values - returns) ** 2, (near - returns) ** 2) / 2, there)


def mean(values: Tensor, there: Tensor) -> Tensor:
    """Over the tokens that are there."""
    return (values * there).sum() / there.sum()
