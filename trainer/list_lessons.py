"""Lessons from rankings: RRHF, with imitation of the best answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.answers import Answers, Lists
from trainer.batch import Text
from trainer.lessons import Taught, lengths
from trainer.losses import rrhf, sft
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.rankings import Ranking
from trainer.reference import parent_logprobs


@dataclass(frozen=True)
class ListLessons:
    rankings: list[Ranking]
    parents: list[Tensor] | None  # of each ranking (A,); None: no drift is asked for
    sft_weight: float

    @property
    def texts(self) -> list[Text]:
        return [ranking.answers[0].text for ranking in self.rankings]

    def __len__(self) -> int:
        return len(self.rankings)

    def losses(self, policy: Policy, picked: Sequence[int]) -> Taught:
        texts = [one.text for i in picked for one in self.rankings[i].answers]
        logprobs = policy.token_logprobs(texts).sum(1)  # (B,) of all answers
        lists, best = self._lists(policy, logprobs, texts, picked)
        preference = rrhf(lists)
        weights = lists.weights[lists.prompts] * best
        imitation = sft(logprobs, lists.answers.lengths, weights)
        shown = {"rrhf": preference, "sft": imitation}
        parents = [self.parents[i] for i in picked] if self.parents else None
        gains = logprobs - torch.cat(parents) if parents else None
        return Taught(preference + self.sft_weight * imitation, shown, gains)

    def _lists(
        self, policy: Policy, logprobs: Tensor, texts: list[Text], picked: Sequence[int]
    ) -> tuple[Lists, Tensor]:
        """And which answers are the best of theirs."""
        some, device = [self.rankings[i] for i in picked], policy.device
        heights = [[one.reward or 0.0 for one in ranking.answers] for ranking in some]
        best = [height == max(row) for row in heights for height in row]
        lists = Lists(
            answers=Answers(
                logprobs=logprobs,
                lengths=lengths(texts, policy),
                rewards=torch.tensor([height for row in heights for height in row], device=device),
            ),
            prompts=torch.tensor(
                [at for at, row in enumerate(heights) for _ in row], device=device
            ),
            weights=torch.tensor([ranking.weight for ranking in some], device=device),
        )
        return lists, torch.tensor(best, device=device)


def list_lessons(
    policy: Policy, rankings: Sequence[Ranking], plan: Plan, *, trust: bool
) -> ListLessons:
    parents = None
    if plan.asks_parent:
        answers = [one for ranking in rankings for one in ranking.answers]
        sizes = [len(ranking.answers) for ranking in rankings]
        found = parent_logprobs(policy, answers, trust=trust)
        parents = list(found.split(sizes))  # type: ignore[no-untyped-call]
    return ListLessons(list(rankings), parents, plan.sft_weight)
