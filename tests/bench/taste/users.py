"""Simulated users, as the demo's: they rate what the stable adapter answers, without any server."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple

import torch
from torch import Tensor

from feedback.examples import Example
from ops.demo.corpus import prompts
from ops.demo.taste import Facts, facts
from ops.demo.users import Habits
from tests.trainer.tiny import example
from trainer.batch import Text
from trainer.golden import Golden, Message
from trainer.policy import Policy
from trainer.words import Words

_DAY_ONE = datetime(2026, 1, 1, tzinfo=UTC)
_AT_ONCE = 64


class Answer(NamedTuple):
    asked: str
    text: Text
    words: str
    facts: Facts


def ask(policy: Policy, words: Words, asked: Sequence[str], seed: int) -> list[Answer]:
    """One fresh answer to each, and the noise-free facts of it."""
    ids = [prompt_ids(words, prompt) for prompt in asked]
    drawn = policy.sample(ids, seed)
    return [
        _answer(words, prompt, text, ended)
        for prompt, text, ended in zip(asked, drawn.texts, drawn.ended, strict=True)
    ]


def prompt_ids(words: Words, prompt: str) -> tuple[int, ...]:
    asked = (Message(role="user", content=prompt),)
    return words.prompt_ids(Golden(id="asked", messages=asked, refuses=False))


def _answer(words: Words, prompt: str, text: Text, ended: bool) -> Answer:
    said = words.text(text.answer_ids)
    return Answer(prompt, text, said, facts(prompt, said, ended=ended))


def rate(
    policy: Policy, words: Words, *, adapter: str, first: int, count: int, seed: int
) -> list[Example]:
    """Thumbs of which one in ten slips. The same seed asks the same, whoever answers."""
    random = Random(f"{seed}/{first}")
    asked = [random.choice(prompts()[0]) for _ in range(count)]
    answers = ask(policy, words, asked, random.randrange(2**31))
    logprobs = token_logprobs(policy, [answer.text for answer in answers])
    return [
        _rated(answer, logged, first + at, adapter, random)
        for at, (answer, logged) in enumerate(zip(answers, logprobs, strict=True))
    ]


def _rated(
    answer: Answer, logprobs: list[float], number: int, adapter: str, random: Random
) -> Example:
    habits = Habits()
    user = f"user-{random.randrange(habits.users):03}"
    at = _DAY_ONE + timedelta(seconds=number)
    return example(
        number,
        user=user,
        rater=user,
        adapter=adapter,
        answer=answer.words,
        prompt_ids=list(answer.text.prompt_ids),
        answer_ids=list(answer.text.answer_ids),
        logprobs=logprobs,
        up=answer.facts.liked != (random.random() < habits.slips),
        completed_at=at,
        judged_at=at,
    )


@torch.no_grad()
def token_logprobs(policy: Policy, texts: Sequence[Text]) -> list[list[float]]:
    """As the engine logs them."""
    found: list[Tensor] = []
    for at in range(0, len(texts), _AT_ONCE):
        found += policy.token_logprobs(texts[at : at + _AT_ONCE])
    return [line[: len(text.answer_ids)].tolist() for line, text in zip(found, texts, strict=True)]
