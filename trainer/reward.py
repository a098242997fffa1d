"""The reward model: what a user would say of an answer that nobody has rated.

A LoRA of its own on the same base, and a head that reads the state of an answer's last token. The
policy wears that LoRA for a while: no second copy of the base is ever held.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from trainer.batch import Text
from trainer.calibration import Calibration
from trainer.pairs import Pair
from trainer.policy import Policy, Weights
from trainer.region import Region
from trainer.rows import Row


class Scored(NamedTuple):
    """Both (N,)."""

    odds: Tensor  # log-odds that a user likes it; where little is known, drawn to the mean
    trust: Tensor  # 1 near what users have rated, less far from it


class Scorer(Protocol):
    """Whatever says what answers are worth."""

    def scored(self, policy: Policy, texts: Sequence[Text], at_once: int) -> Scored: ...


@dataclass(frozen=True)
class Head:
    """What states of answers are worth, in log-odds."""

    weight: Tensor  # (H,)
    bias: Tensor  # ()
    # Of each doubling of an answer's length, learned beside the weight. To find it first explained
    # more by length, and a policy that was paid for it said ever less (docs/experiments.md).
    per_doubling: Tensor  # ()
    usual: float  # the mean of the binary logarithms of rated answers' lengths

    def worth(self, states: Tensor) -> Tensor:
        """(N,) of (N, H): at the usual length."""
        found: Tensor = states @ self.weight / self.weight.numel() ** 0.5 + self.bias
        return found

    def of_length(self, texts: Sequence[Text]) -> Tensor:
        """(N,)"""
        sizes = torch.tensor([len(text.answer_ids) for text in texts], device=self.weight.device)
        return self.per_doubling * (sizes.log2() - self.usual)


@dataclass(frozen=True)
class Reward:
    weights: Weights  # of its LoRA
    head: Head
    by_length: bool  # is an answer worth more or less for its length?
    calibration: Calibration
    region: Region  # of rated answers
    mean: float  # of their log-odds

    def scored(self, policy: Policy, texts: Sequence[Text], at_once: int) -> Scored:
        states = states_of(policy, self.weights, texts, at_once)
        odds = worth(self.head, states, texts, by_length=self.by_length)
        known = self.calibration.stretch * odds + self.calibration.shift
        trust = self.region.trust(states.double()).float()
        return Scored(self.mean + trust * (known - self.mean), trust)


@torch.no_grad()
def states_of(policy: Policy, weights: Weights, texts: Sequence[Text], at_once: int) -> Tensor:
    """(N, H)"""
    with policy.wearing(weights):
        parts = [texts[at : at + at_once] for at in range(0, len(texts), at_once)]
        return torch.cat([policy.last_states(part) for part in parts])


def worth(head: Head, states: Tensor, texts: Sequence[Text], *, by_length: bool) -> Tensor:
    return head.worth(states) + (head.of_length(texts) if by_length else 0.0)


def said(verdicts: Sequence[Row | Pair]) -> list[Text]:
    """All answers; a pair's better one first."""
    return [answer.text for one in verdicts for answer in one.answers]


def loss(odds: Tensor, verdicts: Sequence[Row | Pair]) -> Tensor:
    """Of `said`: thumbs by their log-odds, pairs by the better's lead (Bradley, Terry 1952)."""
    at, found = 0, []
    for one in verdicts:
        if isinstance(one, Row):
            found.append(one.weight * _of_thumb(odds[at], one.liked))
        else:
            found.append(-one.weight * logsigmoid(odds[at] - odds[at + 1]))
        at += len(one.answers)
    return torch.stack(found).mean()


def _of_thumb(odds: Tensor, liked: bool) -> Tensor:
    return binary_cross_entropy_with_logits(odds, torch.full_like(odds, float(liked)))
