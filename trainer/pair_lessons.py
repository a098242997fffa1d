"""Lessons from pairs: DPO, IPO, SimPO, ORPO or RPO, with imitation of the chosen answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.answers import Answers, Pairs
from trainer.batch import Text
from trainer.lessons import Taught, lengths
from trainer.losses import PAIR_LOSSES, Dials, sft
from trainer.pairs import Pair
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.reference import parent_logprobs
from trainer.sides import Side


@dataclass(frozen=True)
class _Sides:
    """The chosen answers, or the rejected; all (N,), on the policy's device."""

    texts: list[Text]
    parent: Tensor | None  # None: nothing reads it
    rewards: Tensor

    def answers(self, policy: Policy, logprobs: Tensor, at: list[int]) -> Answers:
        return Answers(
            logprobs=logprobs,
            lengths=lengths([self.texts[i] for i in at], policy),
            parent=None if self.parent is None else self.parent[at],
            rewards=self.rewards[at],
        )


@dataclass(frozen=True)
class PairLessons:
    chosen: _Sides
    rejected: _Sides
    weights: Tensor  # (N,)
    plan: Plan

    @property
    def texts(self) -> list[Text]:
        return self.chosen.texts

    def __len__(self) -> int:
        return len(self.texts)

    def losses(self, policy: Policy, picked: Sequence[int]) -> Taught:
        plan, at = self.plan, list(picked)
        both = [side.texts[i] for side in (self.chosen, self.rejected) for i in at]
        won, lost = policy.token_logprobs(both).sum(1).chunk(2)  # (B,) each
        pairs = Pairs(
            chosen=self.chosen.answers(policy, won, at),
            rejected=self.rejected.answers(policy, lost, at),
            weights=self.weights[at],
        )
        preference = PAIR_LOSSES[plan.method](pairs, _dials(plan))
        imitation = sft(won, pairs.chosen.lengths, pairs.weights)
        loss = preference + plan.sft_weight * imitation
        gains = torch.cat((pairs.chosen.gains, pairs.rejected.gains)) if plan.asks_parent else None
        return Taught(loss, {plan.method: preference, "sft": imitation}, gains)


def pair_lessons(policy: Policy, pairs: Sequence[Pair], plan: Plan, *, trust: bool) -> PairLessons:
    def sides(of: Sequence[Side], reward: float) -> _Sides:
        rewards = [reward if one.reward is None else one.reward for one in of]
        return _Sides(
            texts=[one.text for one in of],
            parent=parent_logprobs(policy, of, trust=trust) if plan.asks_parent else None,
            rewards=torch.tensor(rewards, device=policy.device),
        )

    return PairLessons(
        chosen=sides([pair.chosen for pair in pairs], 1.0),
        rejected=sides([pair.rejected for pair in pairs], 0.0),
        weights=torch.tensor([pair.weight for pair in pairs], device=policy.device),
        plan=plan,
    )


def _dials(plan: Plan) -> Dials:
    return Dials(
        beta=plan.beta,
        label_noise=plan.label_noise,
        margin=plan.margin,
        reward_scale=plan.reward_scale,
    )
