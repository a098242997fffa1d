"""Who draws fresh answers: the policy itself, unless others are asked."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from trainer.batch import Text
from trainer.policy import Policy


class Answers(NamedTuple):
    """One to each prompt."""

    texts: list[Text]
    logprobs: list[list[float]] | None  # of an engine, each token's; None: our own are as good


Ask = Callable[[Policy, Sequence[tuple[int, ...]], int], Answers]  # the last is a seed


def itself(policy: Policy, prompts: Sequence[tuple[int, ...]], seed: int) -> Answers:
    return Answers(policy.sample(prompts, seed).texts, None)
