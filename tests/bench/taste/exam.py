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

ASKED = 500


class Marks(NamedTuple):
    """Shares of the answers; `ordered` is of pairs of a liked and a disliked answer of the base."""

    liked: float
    right: float
    ended: float
    tokens: float
    kl: float
    kl_error: float
    ordered: float


def sit(policy: Policy, words: Words, seed: int) -> list[Answer]:
    return ask(policy, words, prompts()[1][:ASKED], seed)


def mark(policy: Policy, answers: Sequence[Answer], of_base: Sequence[Answer]) -> Marks:
    """`answers` are the policy's own; those of the base are the same for all."""
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


def _ordered(policy: Policy, of_base: Sequence[Answer]) -> float:
    """Whether a liked answer gained more than a disliked one, by the hidden taste itself."""
    texts = [answer.text for answer in of_base]
    gains = (policy.logprobs(texts) - policy.logprobs(texts, "base")).tolist()
    both = list(zip(gains, (answer.facts.liked for answer in of_base), strict=True))
    ups, downs = ([gain for gain, liked in both if liked is up] for up in (True, False))
    return accuracy(ups, downs).share
