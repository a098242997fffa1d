"""What the policy says now and what the reward thinks of it: what online methods learn from."""

from collections.abc import Sequence
from random import Random
from statistics import fmean
from typing import NamedTuple

from torch import Tensor

from trainer.asking import Ask
from trainer.batch import Text
from trainer.endings import RoundFailed
from trainer.items import Items
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.reference import worst_gap
from trainer.reward import Scorer
from trainer.reward_fit import Learned
from trainer.sources import shorten
from trainer.verdicts import Verdict

Prompts = Sequence[tuple[int, ...]]


class Drawn(NamedTuple):
    """`answers_per_prompt` to one prompt, then as many to the next."""

    texts: list[Text]
    odds: Tensor  # (N,) log-odds that a user likes it
    logprobs: list[list[float]] | None  # of the engine that drew them, each token's
    told: dict[str, float]  # each name is a curve's


def prompts_of(items: Items[Verdict], plan: Plan) -> list[tuple[int, ...]]:
    """Of what was rated, each once; shortened, so that the longest answer fits."""
    rated = [one.answers[0].text.prompt_ids for one in (*items.train, *items.replay)]
    return list(dict.fromkeys(shorten(ids, plan.max_new_tokens, plan) for ids in rated))


class Teacher(NamedTuple):
    """What an online method has but the policy: prompts, whom to ask for answers, and a judge."""

    learned: Learned[Scorer]
    prompts: Prompts
    ask: Ask


def draw(policy: Policy, teacher: Teacher, plan: Plan, epoch: int) -> Drawn:
    """By the epoch alone, whatever was drawn before. A policy that is asked itself draws the same
    again after a round died; an engine has its own arithmetic, and may not.
    """
    random = Random(f"{plan.seed}/{epoch}")
    asked = random.sample(teacher.prompts, min(plan.online_prompts, len(teacher.prompts)))
    each = [prompt for prompt in asked for _ in range(plan.answers_per_prompt)]
    texts, logprobs = teacher.ask(policy, each, random.randrange(2**31))
    learned, told = teacher.learned, {}
    if logprobs is not None:
        told["engine_gap"] = _gap(policy, texts, logprobs, plan)
    odds, trust = learned.reward.scored(policy, texts, 8 * plan.batch_size)
    told |= {
        "reward": odds.mean().item(),
        "reward_trust": trust.mean().item(),
        "answer_tokens": fmean(len(text.answer_ids) for text in texts),
    }
    return Drawn(texts, odds, logprobs, learned.told | told)


def _gap(
    policy: Policy, texts: Sequence[Text], logprobs: Sequence[Sequence[float]], plan: Plan
) -> float:
    """Of the worst token. Whoever answers with other weights is not the policy."""
    gap = worst_gap(policy, texts, logprobs, plan)
    if not gap <= plan.max_logprob_gap:  # nor no number
        raise RoundFailed(
            f"the engine's log-probabilities are off by {gap:.3g}; expected at most "
            f"max_logprob_gap, {plan.max_logprob_gap:g}: it may have answered with other weights"
        )
    return gap
