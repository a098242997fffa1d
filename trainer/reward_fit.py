"""Verdicts → a reward model: learned, calibrated and bounded. Starts from the parent's own LoRA."""

import logging
from collections.abc import Iterator, Sequence
from math import isfinite, log2
from random import Random
from statistics import fmean
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW

from trainer.calibration import calibrate
from trainer.discernment import Discernment, discernment
from trainer.endings import NotFinite, RoundFailed
from trainer.held_out import Interval
from trainer.items import Items
from trainer.plan import Plan
from trainer.policy import Policy, Weights
from trainer.region import region
from trainer.reward import Head, Reward, Scorer, loss, said, states_of, worth
from trainer.verdicts import Verdict

_HEAD_RATE = 10.0  # times the LoRA's: it begins at nothing
_log = logging.getLogger("trainer")


ScorerT = TypeVar("ScorerT", bound=Scorer, covariant=True)


class Learned(NamedTuple, Generic[ScorerT]):
    reward: ScorerT
    told: dict[str, float]  # how good it is; each name is a curve's


def fit_reward(policy: Policy, items: Items[Verdict], plan: Plan) -> Learned[Reward]:
    """What was rated before is heard too, and an AI; what is held out calibrates and judges it."""
    rated = [*items.train, *items.replay]
    head, weights = _learned(policy, [*rated, *items.beside], plan)
    texts = said(rated)  # by users: how far a reward can be trusted is measured from there
    states = states_of(policy, weights, texts, 8 * plan.batch_size)
    known = worth(head, states, texts, by_length=plan.reward_by_length)
    heard = _heard(policy, head, weights, items.holdout, plan)
    if why := heard.is_worse_than_chance():
        raise RoundFailed(f"the reward model is worse than chance: {why}")
    calibration = calibrate(heard.odds, heard.liked)
    odds = [calibration.log_odds(one) for one in known.tolist()]
    reward = Reward(
        weights=weights,
        head=head,
        by_length=plan.reward_by_length,
        calibration=calibration,
        region=region(states),
        mean=fmean(odds),
    )
    _tell(heard.orders())
    return Learned(reward, heard.told() | {"reward_per_doubling": head.per_doubling.item()})


def _tell(orders: Interval | None) -> None:
    if orders is None:
        _log.warning("nothing that is held out tells a better answer from a worse one by a reward")
        return
    told = "of held-out orders of a better and a worse answer the reward tells %.0f%% right "
    told += "(95 %%: %.0f to %.0f)"
    if by_chance := orders.low <= 0.5:
        told += ": that may be chance"
    _log.log(logging.WARNING if by_chance else logging.INFO, told, *(100 * one for one in orders))


def _learned(policy: Policy, rated: Sequence[Verdict], plan: Plan) -> tuple[Head, Weights]:
    with policy.wearing(policy.weights()):
        head = _blank(policy, rated)
        own = [head.weight, head.bias, head.per_doubling]
        rate = plan.reward_learning_rate
        groups = [
            {"params": policy.parameters(), "lr": rate},
            {"params": own, "lr": rate * _HEAD_RATE},
        ]
        optimizer = AdamW(groups, weight_decay=0.0)
        for picked in _batches(rated, plan):
            texts = said(picked)
            found = loss(worth(head, policy.last_states(texts), texts, by_length=True), picked)
            if not isfinite(found.item()):
                raise NotFinite(f"the reward model's loss is {found.item()}")
            optimizer.zero_grad()
            found.backward()  # type: ignore[no-untyped-call]
            policy.sum_gradients()
            norm = clip_grad_norm_([*policy.parameters(), *own], plan.clip)
            if not isfinite(norm.item()):
                raise NotFinite(f"the reward model's gradient is {norm.item()}")
            optimizer.step()
        for one in own:
            one.requires_grad_(False)
        return head, policy.weights()


def _blank(policy: Policy, rated: Sequence[Verdict]) -> Head:
    size = policy.last_states(said(rated[:1])).shape[1]
    usual = fmean(log2(len(text.answer_ids)) for text in said(rated))

    def learns(*shape: int) -> Tensor:
        return torch.zeros(shape, device=policy.device, requires_grad=True)

    return Head(learns(size), learns(), learns(), usual)


def _batches(rated: Sequence[Verdict], plan: Plan) -> Iterator[list[Verdict]]:
    random, size = Random(plan.seed), plan.batch_size
    for _ in range(plan.reward_epochs):
        order, count = random.sample(rated, len(rated)), -(-len(rated) // size)
        yield from (order[at::count] for at in range(count))  # all of almost one size


def _heard(
    policy: Policy, head: Head, weights: Weights, held: Sequence[Verdict], plan: Plan
) -> Discernment:
    def odds(verdicts: Sequence[Verdict]) -> list[float]:
        texts = said(verdicts)
        states = states_of(policy, weights, texts, 8 * plan.batch_size)
        found: list[float] = worth(head, states, texts, by_length=plan.reward_by_length).tolist()
        return found

    return discernment(odds, held)
