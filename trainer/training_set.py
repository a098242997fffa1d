"""Rows → what an epoch goes over, with the parent's log-probability of everything, found once.

The engine logged what its adapter thought of every token it served: where that adapter is the
parent, the reference is free. Elsewhere, one forward pass before training finds it.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor

from trainer.batch import Text
from trainer.losses import vote_weights
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.rows import Row

_CHECKED_ROWS = 16  # enough to see that a log is of another model; one short forward pass
_log = logging.getLogger("trainer")


@dataclass(frozen=True)
class TrainingSet:
    """All (N,), on the policy's device."""

    texts: list[Text]
    strangers: list[Text]  # each prompt with its neighbour's answer, for KTO's baseline
    parent: Tensor  # the parent's log-probability of each text
    parent_strangers: Tensor
    liked: Tensor
    weights: Tensor  # of the rows, the minority of votes not yet lifted
    up_weight: float
    down_weight: float


def training_set(policy: Policy, rows: Sequence[Row], plan: Plan, *, trust: bool) -> TrainingSet:
    """In an order of its own: neighbours must not be of one user or one topic."""
    mixed = Random(plan.seed).sample(rows, len(rows))
    texts = [row.text for row in mixed]
    strangers = [
        Text(text.prompt_ids, other.answer_ids[: plan.max_row_tokens - len(text.prompt_ids)])
        for text, other in zip(texts, texts[1:] + texts[:1], strict=True)
    ]
    ups = sum(row.liked for row in mixed)
    votes = vote_weights(ups, len(mixed) - ups, balance=plan.balance, cap=plan.up_weight_cap)
    return TrainingSet(
        texts=texts,
        strangers=strangers,
        parent=parent_logprobs(policy, mixed, trust=trust),
        parent_strangers=policy.logprobs(strangers, "parent"),
        liked=torch.tensor([row.liked for row in mixed], device=policy.device),
        weights=torch.tensor([row.weight for row in mixed], device=policy.device),
        up_weight=votes.up,
        down_weight=votes.down,
    )


def parent_logprobs(policy: Policy, rows: Sequence[Row], *, trust: bool) -> Tensor:
    """(N,) as logged where the log knows and is trusted, computed elsewhere."""
    logged = [sum(row.logprobs) if row.logprobs and trust else None for row in rows]
    unknown = [row.text for row, known in zip(rows, logged, strict=True) if known is None]
    computed = iter(policy.logprobs(unknown, "parent").tolist() if unknown else [])
    return torch.tensor(
        [next(computed) if known is None else known for known in logged], device=policy.device
    )


def logged_as_computed(policy: Policy, rows: Sequence[Row], plan: Plan) -> tuple[bool, float]:
    """May the logged log-probabilities be used? And how far the worst token is off.

    The adapter that the log names might not be the one that answered.
    """
    checked = [row for row in rows if row.logprobs]
    checked = Random(plan.seed).sample(checked, min(_CHECKED_ROWS, len(checked)))
    gap = _worst_gap(policy, checked)
    if gap > plan.max_logprob_gap:
        _log.warning("logged log-probabilities are off by %.3g; all are recomputed", gap)
    return gap <= plan.max_logprob_gap, gap


@torch.no_grad()
def _worst_gap(policy: Policy, rows: Sequence[Row]) -> float:
    """Called before training only: the policy is still its parent."""
    if not rows:
        return 0.0
    computed = policy.token_logprobs([row.text for row in rows])  # (B, A)
    logged = torch.zeros_like(computed)
    for line, row in zip(logged, rows, strict=True):
        line[: len(row.text.answer_ids)] = torch.tensor(row.logprobs)
    return float((computed - logged).abs().max())
