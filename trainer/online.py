"""Online DPO: what the policy says now, scored by the reward model, the best against the worst.

An epoch is an iteration: its answers are drawn anew from the policy as it has become, and taught
from in that epoch alone, so none is ever older than an epoch's steps.
"""

from collections.abc import Sequence
from random import Random
from statistics import fmean
from typing import NamedTuple

from trainer.batch import Text
from trainer.endings import RoundFailed
from trainer.items import Items
from trainer.lessons import Taught
from trainer.pair_lessons import PairLessons, pair_lessons
from trainer.pairs import Pair
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.reward import Scored
from trainer.reward_fit import Learned, fit_reward
from trainer.sides import Side
from trainer.verdicts import Verdict


class Rivals(NamedTuple):
    """The best and the worst of some answers to one prompt."""

    best: Text
    worst: Text


class OnlineLessons:
    """Empty before it is renewed for the first time."""

    def __init__(
        self, learned: Learned, prompts: Sequence[tuple[int, ...]], policy: Policy, plan: Plan
    ) -> None:
        self._learned, self._prompts = learned, prompts
        self._plan = plan.model_copy(update={"method": "dpo"})
        self._pairs = pair_lessons(policy, [], self._plan, trust=False)

    @property
    def texts(self) -> list[Text]:
        return self._pairs.texts

    def __len__(self) -> int:
        return len(self._pairs)

    def losses(self, policy: Policy, picked: Sequence[int]) -> Taught:
        return self._pairs.losses(policy, picked)

    def renew(self, policy: Policy, epoch: int) -> dict[str, float]:
        plan = self._plan
        random = Random(f"{plan.seed}/{epoch}")
        asked = random.sample(self._prompts, min(plan.online_prompts, len(self._prompts)))
        each = [prompt for prompt in asked for _ in range(plan.answers_per_prompt)]
        drawn = policy.sample(each, random.randrange(2**31)).texts
        scored = self._learned.reward.scored(policy, drawn, 8 * plan.batch_size)
        found = rivals(drawn, scored.odds.tolist(), plan.answers_per_prompt)
        self._pairs = self._taught(policy, found)
        return self._learned.told | _told(drawn, scored, len(found) / len(asked))

    def _taught(self, policy: Policy, found: Sequence[Rivals]) -> PairLessons:
        if not found:
            raise RoundFailed("no two answers to any prompt differ in their reward")
        pairs = [Pair(_side(one.best), _side(one.worst), 1.0, "drawn") for one in found]
        return pair_lessons(policy, pairs, self._plan, trust=False)


def online_lessons(
    policy: Policy, items: Items[Verdict], plan: Plan, *, trust: bool
) -> OnlineLessons:
    """`trust` is of what was logged; here all is drawn anew."""
    rated = [*items.train, *items.replay]
    prompts = list(dict.fromkeys(one.answers[0].text.prompt_ids for one in rated))
    return OnlineLessons(fit_reward(policy, items, plan), prompts, policy, plan)


def rivals(drawn: Sequence[Text], odds: Sequence[float], each: int) -> list[Rivals]:
    """One of each prompt, but where all its answers are worth the same."""
    groups = [
        sorted(zip(odds[at : at + each], drawn[at : at + each], strict=True))
        for at in range(0, len(drawn), each)
    ]
    return [Rivals(group[-1][1], group[0][1]) for group in groups if group[-1][0] > group[0][0]]


def _side(text: Text) -> Side:
    return Side("", "", text, None)  # of no completion, and no user's


def _told(drawn: Sequence[Text], scored: Scored, paired: float) -> dict[str, float]:
    return {
        "reward": scored.odds.mean().item(),
        "reward_trust": scored.trust.mean().item(),
        "answer_tokens": fmean(len(text.answer_ids) for text in drawn),
        "prompts_with_rivals": paired,
    }
