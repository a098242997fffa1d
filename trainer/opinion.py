"""A second opinion of answers: another judge than the reward model, by the same verdicts.

Logistic, on states of the parent as it is: it has no part in what taught the policy, and no term
of length. Where the two disagree, the policy may have found out where its reward is wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from trainer.rows import Row
from trainer.verdicts import Verdict

_SPREAD = 2.0  # of answers' log-odds, before any verdict is heard
_STEPS = 200


@dataclass(frozen=True)
class Opinion:
    """What states of answers are worth to it, in log-odds."""

    weight: Tensor  # (H,)
    bias: Tensor  # ()
    centre: Tensor  # (H,) of rated answers
    widths: Tensor  # (H,)

    def worth(self, states: Tensor) -> Tensor:
        """(N,) of (N, H)."""
        found: Tensor = self._seen(states) @ self.weight + self.bias
        return found

    def _seen(self, states: Tensor) -> Tensor:
        return (states.double().cpu() - self.centre) / self.widths


def opinion(states: Tensor, verdicts: Sequence[Verdict]) -> Opinion:
    """Of (N, H), of what `said` tells of the verdicts. Drawn to none: its dimensions are many."""
    states = states.double().cpu()
    size = states.shape[1]
    blank = Opinion(
        weight=torch.zeros(size, dtype=torch.double, requires_grad=True),
        bias=torch.zeros((), dtype=torch.double, requires_grad=True),
        centre=states.mean(0),
        widths=states.std(0).clamp(min=1e-6),
    )
    leads, biases = _leads(blank._seen(states), verdicts)
    counts = torch.tensor([one.weight for one in verdicts], dtype=torch.double)
    own = [blank.weight, blank.bias]
    optimizer = torch.optim.LBFGS(own, max_iter=_STEPS, line_search_fn="strong_wolfe")

    def lost() -> Tensor:
        optimizer.zero_grad()
        pull = size / _SPREAD**2 * blank.weight.square().sum() / 2
        found = pull - (counts * logsigmoid(leads @ blank.weight + biases * blank.bias)).sum()
        found.backward()  # type: ignore[no-untyped-call]
        return found

    optimizer.step(lost)  # type: ignore[no-untyped-call]
    return Opinion(blank.weight.detach(), blank.bias.detach(), blank.centre, blank.widths)


def _leads(seen: Tensor, verdicts: Sequence[Verdict]) -> tuple[Tensor, Tensor]:
    """(M, H) and (M,): what each verdict says is worth more than nothing."""
    at, found, biases = 0, [], []
    for one in verdicts:
        if isinstance(one, Row):
            sign = 1.0 if one.liked else -1.0
            found.append(sign * seen[at])
            biases.append(sign)
        else:
            found.append(seen[at] - seen[at + 1])
            biases.append(0.0)
        at += len(one.answers)
    return torch.stack(found), torch.tensor(biases, dtype=torch.double)
