"""Lessons from thumbs: KTO with imitation of the liked answers. Its rows are in its own order."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from trainer.batch import Text
from trainer.lessons import Taught
from trainer.losses import kto, kto_baseline, sft, vote_weights
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.reference import parent_logprobs
from trainer.rows import Row


@dataclass(frozen=True)
class KtoLessons:
    """All (N,), on the policy's device."""

    texts: list[Text]
    strangers: list[Text]  # each prompt with its neighbour's answer, for KTO's baseline
    parent: Tensor  # the parent's log-probability of each text
    parent_strangers: Tensor
    liked: Tensor
    weights: Tensor  # of the rows, the minority of votes not yet lifted
    up_weight: float
    down_weight: float
    beta: float
    sft_weight: float

    def __len__(self) -> int:
        return len(self.texts)

    def losses(self, policy: Policy, picked: Sequence[int]) -> Taught:
        at = list(picked)
        texts, strangers = ([part[i] for i in at] for part in (self.texts, self.strangers))
        logprobs, mismatched = policy.with_strangers(texts, strangers)  # (B,) each
        liked, weights = self.liked[at], self.weights[at]
        gains = logprobs - self.parent[at]
        baseline = kto_baseline(mismatched - self.parent_strangers[at])
        lifted = weights * torch.where(liked, self.up_weight, self.down_weight)
        preference = kto(gains, liked, weights=lifted, baseline=baseline, beta=self.beta)
        imitation = sft(logprobs, lengths(texts, gains.device), weights * liked)
        return Taught(
            preference + self.sft_weight * imitation,
            {"kto": preference, "sft": imitation, "baseline": baseline},
            gains,
        )


def thumb_lessons(policy: Policy, rows: Sequence[Row], plan: Plan, *, trust: bool) -> KtoLessons:
    """In an order of its own: neighbours must not be of one user or one topic."""
    mixed = Random(plan.seed).sample(rows, len(rows))
    texts = [row.text for row in mixed]
    strangers = [
        Text(text.prompt_ids, other.answer_ids[: plan.max_row_tokens - len(text.prompt_ids)])
        for text, other in zip(texts, texts[1:] + texts[:1], strict=True)
    ]
    ups = sum(row.liked for row in mixed)
    votes = vote_weights(ups, len(mixed) - ups, balance=plan.balance, cap=plan.up_weight_cap)
    return KtoLessons(
        texts=texts,
        strangers=strangers,
        parent=parent_logprobs(policy, mixed, trust=trust),
        parent_strangers=policy.logprobs(strangers, "parent"),
        liked=torch.tensor([row.liked for row in mixed], device=policy.device),
        weights=torch.tensor([row.weight for row in mixed], device=policy.device),
        up_weight=votes.up,
        down_weight=votes.down,
        beta=plan.beta,
        sft_weight=plan.sft_weight,
    )


def lengths(texts: Sequence[Text], device: torch.device) -> Tensor:
    """(B,) of the answers, in tokens."""
    return torch.tensor([len(text.answer_ids) for text in texts], device=device)
