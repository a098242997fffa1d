"""What the policy says now and what the reward thinks of it: what online methods learn from."""

from collections.abc import Sequence
from random import Random
from statistics import fmean
from typing import NamedTuple

from torch import Tensor

from trainer.batch import Text
from trainer.items import Items
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.reward_fit import Learned
from trainer.verdicts import Verdict

Prompts = Sequence[tuple[int, ...]]


class Drawn(NamedTuple):
    """`answers_per_prompt` to one prompt, then as many to the next."""

    texts: list[Text]
    odds: Tensor  # (N,) log-odds that a user likes it
    told: dict[str, float]  # each name is a curve's


def prompts_of(items: Items[Verdict]) -> list[tuple[int, ...]]:
    """Of what was rated, each once."""
    rated = (*items.train, *items.replay)
    return list(dict.fromkeys(one.answers[0].text.prompt_ids for one in rated))


def draw(policy: Policy, learned: Learned, prompts: Prompts, plan: Plan, epoch: int) -> Drawn:
    """By the epoch alone, whatever was drawn before: a round that died draws the same again."""
    random = Random(f"{plan.seed}/{epoch}")
    asked = random.sample(prompts, min(plan.online_prompts, len(prompts)))
    each = [prompt for prompt in asked for _ in range(plan.answers_per_prompt)]
    texts = policy.sample(each, random.randrange(2**31)).texts
    odds, trust = learned.reward.scored(policy, texts, 8 * plan.batch_size)
    told = {
        "reward": odds.mean().item(),
        "reward_trust": trust.mean().item(),
        "answer_tokens": fmean(len(text.answer_ids) for text in texts),
    }
    return Drawn(texts, odds, learned.told | told)
