"""The parent's log-probability of answers, found once: before the policy learns, or at its gates.

The engine logged what its adapter thought of every token it served: where that adapter is the
parent, the reference is free. Elsewhere, one forward pass finds it.
"""

import logging
from collections.abc import Sequence
from math import nan
from random import Random

import torch
from torch import Tensor

from trainer.batch import Text
from trainer.items import Logged
from trainer.plan import Plan
from trainer.policy import Policy

_CHECKED_ANSWERS = 16  # enough to see that a log is of another model; one short forward pass
_log = logging.getLogger("trainer")


def parent_logprobs(policy: Policy, answers: Sequence[Logged], *, trust: bool) -> Tensor:
    """(N,) as logged where the log knows and is trusted, computed elsewhere."""
    logged = [sum(one.logprobs) if one.logprobs and trust else None for one in answers]
    unknown = [one.text for one, known in zip(answers, logged, strict=True) if known is None]
    computed = iter(policy.logprobs(unknown, "parent").tolist() if unknown else [])
    return torch.tensor(
        [next(computed) if known is None else known for known in logged], device=policy.device
    )


def logged_as_computed(policy: Policy, answers: Sequence[Logged], plan: Plan) -> tuple[bool, float]:
    """May the logged log-probabilities be used? And how far the worst token is off.

    The adapter that the log names might not be the one that answered. Called before training
    only: the policy is still its parent.
    """
    known = [(one.text, one.logprobs) for one in answers if one.logprobs]
    if not known:
        return False, nan  # not measured is not trusted
    texts, logprobs = zip(*known, strict=True)
    gap = worst_gap(policy, texts, logprobs, plan)
    if gap > plan.max_logprob_gap:
        _log.warning("logged log-probabilities are off by %.3g; all are recomputed", gap)
    return gap <= plan.max_logprob_gap, gap


@torch.no_grad()
def worst_gap(
    policy: Policy, texts: Sequence[Text], told: Sequence[Sequence[float]], plan: Plan
) -> float:
    """Of a token in some of the answers: what was told of it, and what the policy thinks now."""
    at = Random(plan.seed).sample(range(len(texts)), min(_CHECKED_ANSWERS, len(texts)))
    computed = policy.token_logprobs([texts[i] for i in at])  # (B, A)
    logged = torch.zeros_like(computed)
    for line, i in zip(logged, at, strict=True):
        line[: len(told[i])] = torch.tensor(told[i])
    return float((computed - logged).abs().max())
