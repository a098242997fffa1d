"""Simulated users, as the demo's: they judge what the stable adapter answers, without a server."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple, Protocol

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


class Given(NamedTuple):
    """An answer that a user may judge; `logged` are an example's fields."""

    liked: bool
    logged: dict[str, Any]


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


class Say(Protocol):
    """So many verdicts on what the policy answers. The same seed asks the same, whoever answers."""

    def __call__(
        self, policy: Policy, words: Words, *, adapter: str, first: int, count: int, seed: int
    ) -> list[Example]: ...


def rate(
    policy: Policy, words: Words, *, adapter: str, first: int, count: int, seed: int
) -> list[Example]:
    """Thumbs of which one in ten slips."""
    random = Random(f"{seed}/{first}")
    given = _given(policy, words, _asked(count, random), random)
    return [_rated(one, number, adapter, random) for number, one in enumerate(given, first)]


def compare(
    policy: Policy, words: Words, *, adapter: str, first: int, count: int, seed: int
) -> list[Example]:
    """Comparisons, of the answers that `rate` would rate with another to the same prompt."""
    random = Random(f"{seed}/{first}")
    asked = _asked(count, random)
    given, rivals = (_given(policy, words, asked, random) for _ in range(2))
    return [
        _compared(*both, number, adapter, random)
        for number, both in enumerate(zip(given, rivals, strict=True), first)
    ]


def winner(a: bool, b: bool, *, slips: bool) -> str:
    """Of two that are liked or not. What a thumb would not tell apart, no slip does."""
    if a is b:
        return "tie" if a else "both_bad"
    return "a" if a is not slips else "b"


def decided(verdict: Example) -> bool:
    """Is an answer liked, or better than the other?"""
    return bool(verdict.up) or verdict.winner in ("a", "b")


def _asked(count: int, random: Random) -> list[str]:
    return [random.choice(prompts()[0]) for _ in range(count)]


def _given(policy: Policy, words: Words, asked: list[str], random: Random) -> list[Given]:
    answers = ask(policy, words, asked, random.randrange(2**31))
    logprobs = token_logprobs(policy, [answer.text for answer in answers])
    return [
        Given(
            answer.facts.liked,
            {
                "answer": answer.words,
                "prompt_ids": list(answer.text.prompt_ids),
                "answer_ids": list(answer.text.answer_ids),
                "logprobs": logged,
            },
        )
        for answer, logged in zip(answers, logprobs, strict=True)
    ]


def _rated(given: Given, number: int, adapter: str, random: Random) -> Example:
    who = _who(number, random)
    up = given.liked != _slips(random)
    return example(number, adapter=adapter, up=up, **given.logged, **who)


def _compared(given: Given, rival: Given, number: int, adapter: str, random: Random) -> Example:
    who = _who(number, random)
    won = winner(given.liked, rival.liked, slips=_slips(random))
    other = {f"rival_{name}": value for name, value in rival.logged.items()}
    del other["rival_prompt_ids"]
    other |= {"rival_id": f"c{number}.1", "rival_adapter": adapter}
    said = {"slot": "comparison", "up": None, "winner": won}
    return example(number, adapter=adapter, **said, **given.logged, **other, **who)


def _who(number: int, random: Random) -> dict[str, Any]:
    user = f"user-{random.randrange(Habits().users):03}"
    at = _DAY_ONE + timedelta(seconds=number)
    return {"user": user, "rater": user, "completed_at": at, "judged_at": at}


def _slips(random: Random) -> bool:
    return random.random() < Habits().slips


@torch.no_grad()
def token_logprobs(policy: Policy, texts: Sequence[Text]) -> list[list[float]]:
    """As the engine logs them."""
    found: list[Tensor] = []
    for at in range(0, len(texts), _AT_ONCE):
        found += policy.token_logprobs(texts[at : at + _AT_ONCE])
    return [line[: len(text.answer_ids)].tolist() for line, text in zip(found, texts, strict=True)]
