"""All losses of training, on log-probabilities of whole answers. Pure. Knows nothing of models.

Each is the mean over its rows. To any of them `sft` of the answers that were liked, chosen or
ranked best may be added: a preference alone may make both answers of a pair less likely.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, relu

from trainer.answers import Lists, Pairs, check_rows
from trainer.plan import Balance

# Stands for log 1, which has no odds. No mean of log-softmaxes in float32 is between it and 0.
_CERTAIN = -1e-12
# In KTO's paper (Ethayarajh 2024), and what TRL warns beyond: all ups may outweigh all downs by it.
_MOST_UPS = 4 / 3


@dataclass(frozen=True)
class Dials:
    """What a pair's loss is set by. Each loss reads beta, and of the others those that it names."""

    beta: float  # in the papers: DPO 0.1, IPO (its tau) 0.1, SimPO 2 to 2.5, ORPO (its lambda) 0.1
    label_noise: float = 0.0  # DPO's: the share of the judgements that are wrong
    margin: float = 1.0  # SimPO's gamma: its authors took 0.25 to 1.6
    reward_scale: float = 1.0  # RPO's eta: log-odds of winning per unit of reward

    def __post_init__(self) -> None:
        rules = (
            ("beta", 0 < self.beta < inf, "more than 0"),
            ("label_noise", 0 <= self.label_noise <= 0.5, "0 to 0.5"),
            ("margin", 0 <= self.margin < inf, "0 or more"),
            ("reward_scale", 0 < self.reward_scale < inf, "more than 0"),
        )
        for name, kept, expected in rules:
            if not kept:
                raise ValueError(f"{name} is {getattr(self, name)}; expected {expected}")


def kto(gains: Tensor, liked: Tensor, *, weights: Tensor, baseline: Tensor, beta: float) -> Tensor:
    """KTO (Ethayarajh 2024), as TRL defines it: liked answers gain on the baseline, others lose."""
    check_rows(gains=gains, liked=liked, weights=weights)
    check_rows(baseline=baseline.reshape(-1))
    up = 1 - torch.sigmoid(beta * (gains - baseline))
    down = 1 - torch.sigmoid(beta * (baseline - gains))
    return (weights * torch.where(liked, up, down)).mean()


def kto_baseline(mismatched_gains: Tensor) -> Tensor:
    """KTO's guess of the KL to the parent, from prompts paired with other prompts' answers."""
    check_rows(mismatched_gains=mismatched_gains)
    return mismatched_gains.mean().clamp(min=0).detach()


def dpo(pairs: Pairs, dials: Dials) -> Tensor:
    """DPO (Rafailov 2023): the chosen answer gains on the rejected; `label_noise` is cDPO's.

    With noise (Mitchell 2023) it is to win in a share of 1 - `label_noise`, and a lead beyond that
    is pulled back: at 1/2 any lead is.
    """
    lead, wrong = dials.beta * (pairs.chosen.gains - pairs.rejected.gains), dials.label_noise
    return _mean(pairs, -(1 - wrong) * logsigmoid(lead) - wrong * logsigmoid(-lead))


def ipo(pairs: Pairs, dials: Dials) -> Tensor:
    """IPO (Azar 2023): the chosen answer's lead is to be 1 / (2 beta), and no more.

    In gains of the mean token, as its authors ran it and TRL has it; the paper's formula sums.
    """
    chosen, rejected = (side.gains / side.lengths for side in (pairs.chosen, pairs.rejected))
    return _mean(pairs, (chosen - rejected - 1 / (2 * dials.beta)) ** 2)


def simpo(pairs: Pairs, dials: Dials) -> Tensor:
    """SimPO (Meng 2024): no parent; the chosen's mean token is to lead by more than `margin`."""
    lead = dials.beta * (pairs.chosen.means - pairs.rejected.means)
    return _mean(pairs, -logsigmoid(lead - dials.margin))


def orpo(pairs: Pairs, dials: Dials) -> Tensor:
    """ORPO (Hong 2024): no parent; the odds of mean tokens. The paper adds `sft` of weight 1."""
    lead = _log_odds(pairs.chosen.means) - _log_odds(pairs.rejected.means)
    return _mean(pairs, -dials.beta * logsigmoid(lead))


def rpo(pairs: Pairs, dials: Dials) -> Tensor:
    """RPO (Adler 2024, of Nemotron-4): the lead is to be `reward_scale` times the rewards' gap.

    The Bernoulli KL of the odds that the rewards give to those of DPO.
    """
    lead = dials.beta * (pairs.chosen.gains - pairs.rejected.gains)
    gap = dials.reward_scale * (pairs.chosen.scores - pairs.rejected.scores)
    wins = gap.sigmoid() * (logsigmoid(gap) - logsigmoid(lead))
    loses = (-gap).sigmoid() * (logsigmoid(-gap) - logsigmoid(-lead))
    return _mean(pairs, wins + loses)


PairLoss = Callable[[Pairs, Dials], Tensor]
PAIR_LOSSES: dict[str, PairLoss] = {
    "dpo": dpo,
    "ipo": ipo,
    "simpo": simpo,
    "orpo": orpo,
    "rpo": rpo,
}


def rrhf(lists: Lists) -> Tensor:
    """RRHF (Yuan 2023): no parent; no worse answer's mean token is to be likelier than a better's.

    Summed over a prompt's pairs, the mean over prompts. The paper adds `sft` of the best answer.
    """
    means, scores, prompts = lists.answers.means, lists.answers.scores, lists.prompts
    worse = (prompts[:, None] == prompts) & (scores[:, None] < scores)  # (B, B) row than column
    excess = (relu(means[:, None] - means) * worse).sum(1)  # (B,)
    return (lists.weights[prompts] * excess).sum() / len(lists.weights)


def sft(logprobs: Tensor, lengths: Tensor, weights: Tensor) -> Tensor:
    """The mean token's negative log-probability; answers of weight 0 are left out.

    On chosen answers it is Llama 3's regulariser (Dubey 2024). A mean over tokens, as TRL has it.
    """
    check_rows(logprobs=logprobs, lengths=lengths, weights=weights)
    tokens = lengths[weights > 0].sum().clamp(min=1)
    return -(weights * logprobs).sum() / tokens


def drift(gains: Tensor) -> Tensor:
    """k2 of the batch: what its answers, liked or not, moved away from the parent."""
    return gains.square().mean() / 2


class VoteWeights(NamedTuple):
    up: float
    down: float


def vote_weights(ups: int, downs: int, *, balance: Balance, cap: float) -> VoteWeights:
    """What each up-vote and each down-vote counts; `cap` bounds what "lift_ups" lifts."""
    if balance == "lift_ups":
        return VoteWeights(min(cap, max(1.0, downs / max(ups, 1))), 1.0)
    if balance == "paper" and ups and downs:  # of one kind alone there is nothing to balance
        return VoteWeights(max(1.0, downs / ups), max(1.0, ups / downs / _MOST_UPS))
    return VoteWeights(1.0, 1.0)


def _mean(pairs: Pairs, losses: Tensor) -> Tensor:
    return (pairs.weights * losses).mean()


def _log_odds(means: Tensor) -> Tensor:
    """(B,) log p/(1-p) of the mean token."""
    logs = means.clamp(max=_CERTAIN)
    return logs - torch.log(-torch.expm1(logs))
