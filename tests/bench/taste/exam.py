"""What an adapter has learned: how it answers prompts that nobody taught or rated."""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from ops.demo.corpus import prompts
from tests.bench.taste.users import Answer, ask
from trainer.held_out import accuracy
from trainer.kl import k1
from trainer.policy import Policy
from trainer.words import Words


class Marks(NamedTuple):
    """Shares of the answers; `ordered` is of pairs of a liked and a disliked answer of the base."""

    liked: float
    right: float
    ended: float
    tokens: float
    kl: float
    kl_error: float
    ordered: float


class Known(NamedTuple):
    """The base's own answers, and how likely it finds them: the same for all that it becomes."""

    answers: list[Answer]
    logprobs: list[float]


def sit(policy: Policy, words: Words, asked: int, seed: int) -> list[Answer]:
    return ask(policy, words, prompts()[1][:asked], seed)


def mark(policy: Policy, answers: Sequence[Answer], of_base: Known) -> Marks:
    """`answers` are the policy's own."""
    texts = [answer.text for answer in answers]
    kl = k1(policy.logprobs(texts).tolist(), policy.logprobs(texts, "base").tolist())
    return Marks(
        liked=fmean(answer.facts.liked for answer in answers),
        right=fmean(answer.facts.right for answer in answers),
        ended=fmean(answer.facts.ended for answer in answers),
        tokens=fmean(len(text.answer_ids) for text in texts),
        kl=kl.value,
        kl_error=kl.stderr,
        ordered=_ordered(policy, of_base),
    )


def _ordered(policy: Policy, of_base: Known) -> float:
    """Whether a liked answer gained more than a disliked one, by the hidden taste itself."""
    now = policy.logprobs([answer.text for answer in of_base.answers]).tolist()
    both = [
        (after - before, answer.facts.liked)
        for answer, before, after in zip(of_base.answers, of_base.logprobs, now, strict=True)
    ]
    ups, downs = ([gain for gain, liked in both if liked is up] for up in (True, False))
    return accuracy(ups, downs).share
