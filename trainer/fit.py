"""The one optimisation loop. Stops at the KL budget, and goes back to the epoch before."""

from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from trainer.adapters import Estimate
from trainer.kl import k1, upper, within
from trainer.losses import kto, kto_baseline, sft
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.training_set import TrainingSet

Tell = Callable[[str, int, int], None]  # what is being done, how far, of how much


class Fitted(NamedTuple):
    """`kept_epochs` may be 0: the policy is then its parent again, and `stopped` says why."""

    kept_epochs: int
    stopped: str | None
    curves: dict[str, tuple[float, ...]]


def fit(policy: Policy, data: TrainingSet, plan: Plan, *, tell: Tell) -> Fitted:
    learner = _Learner(policy, data, plan)
    curves: dict[str, list[float]] = {"kl_parent": []}
    for epoch in range(plan.epochs):
        before = policy.weights()
        tell(_title(epoch, plan), 0, learner.steps)
        for at, picked in enumerate(learner.batches()):
            for name, value in learner.step(picked).items():
                curves.setdefault(name, []).append(value)
            tell(_title(epoch, plan), at + 1, learner.steps)
        kl = learner.drift()
        curves["kl_parent"].append(kl.value)
        if not within(kl, plan.kl_budget_parent):
            policy.restore(before)
            why = f"epoch {epoch + 1} reached {upper(kl):.2f} nats from the parent"
            return Fitted(epoch, f"{why}; the budget is {plan.kl_budget_parent}", _frozen(curves))
    return Fitted(plan.epochs, None, _frozen(curves))


class _Learner:
    """What lives as long as the loop: the optimizer, and the order of the rows."""

    def __init__(self, policy: Policy, data: TrainingSet, plan: Plan) -> None:
        self._policy, self._data, self._plan = policy, data, plan
        self._random = Random(plan.seed)
        self._optimizer = AdamW(policy.parameters(), lr=plan.learning_rate, weight_decay=0.0)
        ramp = max(plan.warmup_steps, 1)
        self._warm_up = LambdaLR(self._optimizer, lambda step: min(1.0, (step + 1) / ramp))
        # The incomplete last batch is left out; the next epoch mixes anew.
        self.steps = max(len(data.texts) // plan.batch_size, 1)

    def batches(self) -> Iterator[list[int]]:
        order = self._random.sample(range(len(self._data.texts)), len(self._data.texts))
        size = self._plan.batch_size
        return (order[at * size : (at + 1) * size] for at in range(self.steps))

    def step(self, picked: list[int]) -> dict[str, float]:
        loss, shown = self._losses(picked)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        # Not finite: better no adapter than a broken one.
        clip_grad_norm_(self._policy.parameters(), self._plan.clip, error_if_nonfinite=True)
        self._optimizer.step()
        self._warm_up.step()
        return shown

    def drift(self) -> Estimate:
        """The KL to the parent, on fresh answers of the policy as it is now."""
        data, plan = self._data, self._plan
        picked = self._random.sample(data.texts, min(plan.probe_samples, len(data.texts)))
        seed = self._random.randrange(2**31)
        fresh = self._policy.sample([text.prompt_ids for text in picked], seed).texts
        return k1(
            self._policy.logprobs(fresh).tolist(), self._policy.logprobs(fresh, "parent").tolist()
        )

    def _losses(self, picked: list[int]) -> tuple[Tensor, dict[str, float]]:
        data, plan = self._data, self._plan
        texts = [data.texts[i] for i in picked]
        liked, weights = data.liked[picked], data.weights[picked]  # (B,)
        strangers = [data.strangers[i] for i in picked]
        logprobs, mismatched = self._policy.with_strangers(texts, strangers)  # (B,) each
        gains = logprobs - data.parent[picked]
        baseline = kto_baseline(mismatched - data.parent_strangers[picked])
        lifted = weights * torch.where(liked, data.up_weight, 1.0)
        lengths = torch.tensor([len(t.answer_ids) for t in texts], device=gains.device)
        preference = kto(gains, liked, weights=lifted, baseline=baseline, beta=plan.beta)
        imitation = sft(logprobs, lengths, weights * liked)
        loss = preference + plan.sft_weight * imitation
        shown = {"loss": loss, "kto": preference, "sft": imitation, "baseline": baseline}
        return loss, {name: value.item() for name, value in shown.items()}


def _frozen(curves: dict[str, list[float]]) -> dict[str, tuple[float, ...]]:
    return {name: tuple(values) for name, values in curves.items()}


def _title(epoch: int, plan: Plan) -> str:
    return f"epoch {epoch + 1} of {plan.epochs}"
