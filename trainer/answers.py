"""What the losses read of a batch: log-probabilities of whole answers, and who beat whom. Pure.

Refused is what would end as NaN in silence, or be broadcast: each message names the value.
"""

from dataclasses import dataclass

from torch import Tensor

from trainer.endings import NotFinite


@dataclass(frozen=True)
class Answers:
    """All (B,). Not every loss reads the parent or the rewards; one that does misses them aloud."""

    logprobs: Tensor  # under the policy, summed over the answer's tokens
    lengths: Tensor  # in tokens
    parent: Tensor | None = None  # as logprobs, under the parent
    rewards: Tensor | None = None  # what a judge or a reward model gave

    def __post_init__(self) -> None:
        optional = {"parent": self.parent, "rewards": self.rewards}
        given = {name: values for name, values in optional.items() if values is not None}
        check_rows(logprobs=self.logprobs, lengths=self.lengths, **given)
        _check_least(1, lengths=self.lengths)

    @property
    def means(self) -> Tensor:
        """(B,) the mean token's log-probability: a long answer weighs no more than a short one."""
        return self.logprobs / self.lengths

    @property
    def gains(self) -> Tensor:
        """(B,) what the policy gives more than its parent, summed over the answer's tokens."""
        return self.logprobs - _given(self.parent, "parent")

    @property
    def scores(self) -> Tensor:
        return _given(self.rewards, "rewards")


@dataclass(frozen=True)
class Pairs:
    """Row by row two answers to one prompt, and what each judgement counts: (B,)."""

    chosen: Answers
    rejected: Answers
    weights: Tensor

    def __post_init__(self) -> None:
        chosen, rejected = self.chosen.logprobs, self.rejected.logprobs
        check_rows(chosen=chosen, rejected=rejected, weights=self.weights)
        _check_least(0, weights=self.weights)


@dataclass(frozen=True)
class Lists:
    """The answers to P prompts, as many to each as there are, ranked by their rewards."""

    answers: Answers
    prompts: Tensor  # (B,) which prompt each answers: 0 to P-1
    weights: Tensor  # (P,) what each ranking counts

    def __post_init__(self) -> None:
        check_rows(answers=self.answers.logprobs, prompts=self.prompts)
        check_rows(weights=self.weights)
        _check_least(0, weights=self.weights, prompts=self.prompts)
        if self.prompts.max() >= len(self.weights):
            raise ValueError(
                f"prompts holds {self.prompts.max()}; expected less than {len(self.weights)}, "
                "the number of weights"
            )


def check_rows(**tensors: Tensor) -> None:
    """All (B,) of one B, not empty, and finite."""
    rows = max(1, next(iter(tensors.values())).numel())
    for name, values in tensors.items():
        if values.shape != (rows,):
            raise ValueError(f"{name} is of shape {tuple(values.shape)}; expected ({rows},)")
        strange = values[~values.isfinite()].tolist()
        if strange:
            raise NotFinite(f"{name} holds {strange[0]}; expected finite numbers")


def _check_least(least: int, **tensors: Tensor) -> None:
    for name, values in tensors.items():
        if values.min() < least:
            raise ValueError(f"{name} holds {values.min()}; expected at least {least}")


def _given(values: Tensor | None, name: str) -> Tensor:
    if values is None:
        raise ValueError(f"{name} is None; expected (B,): this loss reads it")
    return values
