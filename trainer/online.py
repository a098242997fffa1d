"""Online DPO: what the policy says now, scored by the reward model, the best against the worst.
Best-of-n: the best alone, imitated.

An epoch is an iteration: its answers are drawn anew from the policy as it has become, and taught
from in that epoch alone, so none is ever older than an epoch's steps.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from trainer.batch import Text
from trainer.drawn import Drawn, Teacher, draw
from trainer.endings import NothingToLearn
from trainer.lessons import Lessons, Taught
from trainer.pair_lessons import pair_lessons
from trainer.pairs import Pair
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.reference import parent_logprobs
from trainer.reward import Scorer
from trainer.sides import Side
from trainer.thumb_lessons import Imitation

_SAME = 1e-4  # one answer, scored twice in float32, differs by less


class Rivals(NamedTuple):
    """The best and the worst of some answers to one prompt."""

    best: Text
    worst: Text


class OnlineLessons:
    """Empty before it is renewed for the first time."""

    def __init__(self, teacher: Teacher, policy: Policy, plan: Plan) -> None:
        self._teacher, self._plan = teacher, plan
        self._now = _taught(policy, [], plan)
        self._drawn: Sequence[Text] = ()

    @property
    def texts(self) -> Sequence[Text]:
        """All that was drawn: however few have rivals, the drift is to be known."""
        return self._drawn

    def __len__(self) -> int:
        return len(self._now)

    @property
    def reward(self) -> Scorer:
        return self._teacher.learned.reward

    def parameters(self) -> list[Tensor]:
        return []

    def losses(self, policy: Policy, picked: Sequence[int]) -> Taught:
        return self._now.losses(policy, picked)

    def renew(self, policy: Policy, epoch: int, kl_weight: float) -> dict[str, float]:
        """The penalty is on the steps, as it is of any pairs."""
        drawn = draw(policy, self._teacher, self._plan, epoch)
        found = rivals(drawn, self._plan.answers_per_prompt)
        if not found:
            raise NothingToLearn(
                "no two answers to any prompt differ in their reward; more of them may "
                "(answers_per_prompt, online_prompts)"
            )
        self._now, self._drawn = _taught(policy, found, self._plan), drawn.texts
        prompts = len(drawn.texts) / self._plan.answers_per_prompt
        return drawn.told | {"prompts_with_rivals": len(found) / prompts}


def rivals(drawn: Drawn, each: int) -> list[Rivals]:
    """One of each prompt, but where all its answers are worth the same."""
    odds: list[float] = drawn.odds.tolist()
    groups = [
        sorted(zip(odds[at : at + each], drawn.texts[at : at + each], strict=True))
        for at in range(0, len(odds), each)
    ]
    return [
        Rivals(group[-1][1], group[0][1]) for group in groups if group[-1][0] - group[0][0] > _SAME
    ]


def _taught(policy: Policy, found: Sequence[Rivals], plan: Plan) -> Lessons:
    if plan.method == "online_dpo":
        pairs = [Pair(_side(one.best), _side(one.worst), 1.0, "drawn") for one in found]
        return pair_lessons(policy, pairs, plan.model_copy(update={"method": "dpo"}), trust=False)
    best = [_side(one.best) for one in found]
    return Imitation(
        texts=[one.text for one in best],
        weights=torch.ones(len(best), device=policy.device),
        parent=parent_logprobs(policy, best, trust=False) if plan.asks_parent else None,
        sft_weight=plan.sft_weight,
    )


def _side(text: Text) -> Side:
    return Side("", "", text, None)  # of no completion, and no user's
