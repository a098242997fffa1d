"""Lessons from thumbs: KTO with imitation of the liked answers, or that alone, the baseline."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from trainer.batch import Text
from trainer.lessons import Lessons, Taught, lengths
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
        imitation = sft(logprobs, lengths(texts, policy), weights * liked)
        return Taught(
            preference + self.sft_weight * imitation,
            {"kto": preference, "sft": imitation, "baseline": baseline},
            gains,
        )


@dataclass(frozen=True)
class Imitation:
    """Of liked answers; all (N,), on the policy's device."""

    texts: list[Text]
    weights: Tensor
    parent: Tensor | None  # None: no drift is asked for
    sft_weight: float

    def __len__(self) -> int:
        return len(self.texts)

    def losses(self, policy: Policy, picked: Sequence[int]) -> Taught:
        at = list(picked)
        texts = [self.texts[i] for i in at]
        logprobs = policy.token_logprobs(texts).sum(1)  # (B,)
        imitation = sft(logprobs, lengths(texts, policy), self.weights[at])
        gains = None if self.parent is None else logprobs - self.parent[at]
        return Taught(self.sft_weight * imitation, {"sft": imitation}, gains)


def thumb_lessons(policy: Policy, rows: Sequence[Row], plan: Plan, *, trust: bool) -> Lessons:
    if plan.method == "kto":
        return kto_lessons(policy, rows, plan, trust=trust)
    liked = [row for row in rows if row.liked]
    return Imitation(
        texts=[row.text for row in liked],
        weights=torch.tensor([row.weight for row in liked], device=policy.device),
        parent=parent_logprobs(policy, liked, trust=trust) if plan.asks_parent else None,
        sft_weight=plan.sft_weight,
    )


def kto_lessons(policy: Policy, rows: Sequence[Row], plan: Plan, *, trust: bool) -> KtoLessons:
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
