"""Lessons from rollouts: PPO with a value head, GRPO and RLOO with the prompt's other answers.

An epoch is an iteration: answers are drawn from the policy as it is, and each taught from once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

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
from trainer.batch import Text
from trainer.drawn import Drawn, Teacher, draw
from trainer.lessons import Taught, lengths
from trainer.plan import Plan
from trainer.policy import Policy, as_wide
from trainer.reward import Scorer


@dataclass(frozen=True)
class _Rollouts:
    """What was drawn, and all that is known of it before the first step; the tensors are (N, A)."""

    texts: list[Text]
    there: Tensor  # 1 where an answer has a token
    old: Tensor  # log-probabilities under the policy that drew it
    advantages: Tensor
    values: Tensor  # of PPO's head
    returns: Tensor  # what it should have said

    def some(self, at: list[int], width: int) -> "_Rollouts":
        every = (self.there, self.old, self.advantages, self.values, self.returns)
        return _Rollouts([self.texts[i] for i in at], *(one[at, :width] for one in every))


class RolloutLessons:
    """Empty before it is renewed for the first time."""

    def __init__(self, teacher: Teacher, policy: Policy, plan: Plan) -> None:
        self._teacher, self._plan = teacher, plan
        self._known: _Rollouts | None = None
        self._head: Tensor | None = None  # (H + 1,) the last is its bias
        if plan.method == "ppo":
            size = policy.last_states([Text((0,), (0,))]).shape[1]
            self._head = torch.zeros(size + 1, device=policy.device, requires_grad=True)

    @property
    def texts(self) -> list[Text]:
        return self._known.texts if self._known else []

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def reward(self) -> Scorer:
        return self._teacher.learned.reward

    def parameters(self) -> list[Tensor]:
        """Of the value head."""
        return [] if self._head is None else [self._head]

    @torch.no_grad()
    def renew(self, policy: Policy, epoch: int, kl_weight: float) -> dict[str, float]:
        plan, size = self._plan, 8 * self._plan.batch_size
        drawn = draw(policy, self._teacher, plan, epoch)
        parts = [drawn.texts[at : at + size] for at in range(0, len(drawn.texts), size)]
        old, values = map(as_wide, zip(*(self._now(policy, part) for part in parts), strict=True))
        sizes = lengths(drawn.texts, policy)
        there = (torch.arange(old.shape[1], device=old.device) < sizes[:, None]).float()
        gains = old - policy.every_logprob(drawn.texts, "parent")
        # Beside the KL to the parent, what it is surer of than need be: so its entropy is kept.
        penalties = kl_weight * gains + plan.entropy_weight * old
        advantages = self._advantages(drawn, there, penalties, values)
        returns = advantages + values
        if plan.method == "ppo":
            advantages = whitened(advantages, there)
        shown = {"rollout_kl": gains.sum(1).mean().item()}
        if drawn.logprobs is not None:
            trust = truncated(
                old,
                as_wide([old.new_tensor(one)[None] for one in drawn.logprobs]),
                plan.importance_cap,
            )
            advantages, shown["importance"] = advantages * trust, mean(trust, there).item()
        self._known = _Rollouts(drawn.texts, there, old, advantages, values, returns)
        return drawn.told | shown

    def losses(self, policy: Policy, picked: Sequence[int]) -> Taught:
        """The drift is no matter of the steps: it is in the rewards."""
        assert self._known is not None  # renewed before the first step
        plan, texts = self._plan, [self._known.texts[i] for i in picked]
        logprobs, values = self._now(policy, texts)
        known = self._known.some(list(picked), logprobs.shape[1])
        clip, there = plan.ratio_clip, known.there
        loss = clipped_loss(logprobs, known.old, known.advantages, there, clip)
        beyond = ((logprobs - known.old).exp() - 1).abs() > clip
        shown = {plan.method: loss, "beyond_clip": mean(beyond.float(), there)}
        if plan.method == "ppo":
            shown["value"] = clipped_value_loss(
                values, known.values, known.returns, there, plan.value_clip
            )
            loss = loss + plan.value_weight * shown["value"]
        return Taught(loss, shown, None)

    def _now(self, policy: Policy, texts: Sequence[Text]) -> tuple[Tensor, Tensor]:
        """(B, A) each: log-probabilities, and what the head thinks is still to come."""
        if self._head is None:
            logprobs = policy.token_logprobs(texts)
            return logprobs, torch.zeros_like(logprobs)
        return policy.with_values(texts, self._head)

    def _advantages(self, drawn: Drawn, there: Tensor, penalties: Tensor, values: Tensor) -> Tensor:
        plan = self._plan
        if plan.method == "ppo":
            scores = _bounded(drawn.odds, plan.reward_clip)
            rewards = token_rewards(scores, there, penalties)
            return gae(rewards, values, there, discount=1.0, smooth=plan.gae_smooth)
        totals = drawn.odds - (penalties * there).sum(1)
        baseline = among_group if plan.method == "grpo" else leave_one_out
        return baseline(totals.view(-1, plan.answers_per_prompt)).view(-1, 1) * there


def _bounded(odds: Tensor, most: float) -> Tensor:
    """In deviations from their mean, and none beyond `most`: a wild reward must not rule a step."""
    return ((odds - odds.mean()) / (odds.std() + 1e-4)).clamp(-most, most)
