"""Losses on log-probabilities of whole answers. Pure. Knows nothing of models.

`gains` are log-probabilities under the policy minus those under the parent; all are (B,).
"""

import torch
from torch import Tensor


def kto(gains: Tensor, liked: Tensor, *, weights: Tensor, baseline: Tensor, beta: float) -> Tensor:
    """KTO (Ethayarajh 2024), as TRL defines it: liked answers gain on the baseline, others lose."""
    up = 1 - torch.sigmoid(beta * (gains - baseline))
    down = 1 - torch.sigmoid(beta * (baseline - gains))
    return (weights * torch.where(liked, up, down)).mean()


def kto_baseline(mismatched_gains: Tensor) -> Tensor:
    """KTO's guess of the KL to the parent, from prompts paired with other prompts' answers."""
    return mismatched_gains.mean().clamp(min=0).detach()


def sft(logprobs: Tensor, lengths: Tensor, weights: Tensor) -> Tensor:
    """The mean token's negative log-probability; answers of weight 0 are left out."""
    tokens = lengths[weights > 0].sum().clamp(min=1)
    return -(weights * logprobs).sum() / tokens


def drift(gains: Tensor) -> Tensor:
    """k2 of the batch: what its answers, liked or not, moved away from the parent."""
    return gains.square().mean() / 2


def up_weight(ups: int, downs: int, cap: float) -> float:
    """What an up-vote counts where they are the minority."""
    return min(cap, max(1.0, downs / max(ups, 1)))
