"""Comparisons, corrections and thumbs on answers of a tiny model, whose users like even ids."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from feedback.events import BASE
from feedback.examples import Example
from tests.trainer.tiny import PLAN, example, settle
from trainer.batch import Text
from trainer.load import load_policy
from trainer.methods import ONLINE, READERS, ROLLOUTS
from trainer.plan import Plan
from trainer.policy import Policy

METHODS = ("kto", "dpo", "ipo", "simpo", "orpo", "rpo", "rrhf", "sft")


def plan_of(method: str, **changes: object) -> Plan:
    """The tiny plan, but for what this method has of its own."""
    fields = PLAN.model_dump(exclude_unset=True) | {"method": method}
    if method == "simpo" or method not in READERS["beta"]:
        del fields["beta"]
    if method in ONLINE:
        fields |= {"online_prompts": 12, "reward_learning_rate": 3e-3}
    if method in ROLLOUTS:
        del fields["sft_weight"]
    return Plan.model_validate(fields | changes)


def judged(policy: Policy, numbers: range, adapter: str = BASE) -> Iterator[Example]:
    """Of two answers to one prompt: both get a thumb, or one is the winner, or is corrected.

    `adapter` is what the policy is.
    """
    prompts = [(5, 6, 7, 10 + number % 40) for number in numbers]
    ones, twos = (policy.sample(prompts, seed).texts for seed in (numbers.start, numbers.stop))
    for number, one, two in zip(numbers, ones, twos, strict=True):
        given, other = (_given(policy, text, adapter) for text in (one, two))
        yield from _said(number, given, other)


def _said(number: int, given: dict[str, Any], other: dict[str, Any]) -> Iterator[Example]:
    one, two = (_even(said["answer_ids"]) for said in (given, other))
    if number % 3 == 0:
        yield example(number, **given, up=one > 0.5)
        same = {"user": f"user{number % 20}", "rater": f"user{number % 20}"}
        yield example(number + 1000, **other, up=two > 0.5, **same)
    elif number % 3 == 1 or one > 0.5:
        rival = {f"rival_{name}": value for name, value in other.items()}
        del rival["rival_prompt_ids"]
        winner = "a" if one > two else "b"
        said = {"rival_id": f"c{number}.1", "rival_answer": "egg"}
        yield example(number, **given, slot="comparison", up=None, winner=winner, **rival, **said)
    else:
        yield example(number, **given, slot="correction", up=None, correction="egg in hot water")


def _given(policy: Policy, text: Text, adapter: str) -> dict[str, Any]:
    with torch.no_grad():
        tokens = policy.token_logprobs([text])[0, -len(text.answer_ids) :]
    return {
        "adapter": adapter,
        "prompt_ids": list(text.prompt_ids),
        "answer_ids": list(text.answer_ids),
        "logprobs": tokens.tolist(),
    }


def _even(ids: list[int]) -> float:
    return sum(token % 2 == 0 for token in ids) / len(ids)


def judged_by_users(base: Path, folder: Path, count: int = 96) -> None:
    policy = load_policy(str(base), None, PLAN)
    settle(folder, list(judged(policy, range(count))), start=0, end=count)
