"""What an epoch goes over: all that the learner knows of a method."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from trainer.batch import Text
from trainer.policy import Policy
from trainer.reward import Scorer


class Taught(NamedTuple):
    """By one batch."""

    loss: Tensor  # ()
    shown: dict[str, Tensor]  # what it is made of; each name is a curve's
    gains: Tensor | None  # (B,) of its answers on the parent; None: the parent was not asked


class Lessons(Protocol):
    @property
    def texts(self) -> Sequence[Text]:
        """On their prompts the drift is looked at."""

    def __len__(self) -> int: ...

    def losses(self, policy: Policy, picked: Sequence[int]) -> Taught: ...


@runtime_checkable
class Renewing(Lessons, Protocol):
    """Lessons that depend on what the policy has become."""

    @property
    def reward(self) -> Scorer:
        """What judges the policy's answers."""

    def parameters(self) -> list[Tensor]:
        """What learns beside the policy."""

    def renew(self, policy: Policy, epoch: int, kl_weight: float) -> dict[str, float]:
        """Before each epoch. What was found on the way; each name is a curve's.

        `kl_weight`: what a nat of drift from the parent costs, where rewards pay for it.
        """


def lengths(texts: Sequence[Text], policy: Policy) -> Tensor:
    """(B,) of the answers, in tokens."""
    return torch.tensor([len(text.answer_ids) for text in texts], device=policy.device)
