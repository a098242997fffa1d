"""One step and one look at the drift, and all that lives as long as the loop. Knows no budgets."""

from collections.abc import Iterator
from math import isfinite
from random import Random
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from trainer.adapters import Estimate
from trainer.answers import NotFinite
from trainer.batch import Text
from trainer.kl import adapted, k1, k2, k3
from trainer.losses import drift, kto, kto_baseline, sft
from trainer.plan import Plan
from trainer.policy import Policy, Weights
from trainer.training_set import TrainingSet


class Drift(NamedTuple):
    """How far the policy is, by its own fresh answers; each name is a curve's."""

    kl_parent: Estimate
    kl_parent_k2: Estimate
    kl_parent_k3: Estimate
    kl_base: Estimate


class State(NamedTuple):
    """All that the next epoch depends on; tensors and plain values only."""

    epochs: int  # that are behind it
    curves: dict[str, list[float]]
    weights: Weights
    optimizer: dict[str, Any]
    warm_up: dict[str, Any]
    kl_weight: float
    order: Any  # of the generator that mixes rows and draws probes
    torch_random: Tensor


class Learner:
    def __init__(self, policy: Policy, data: TrainingSet, plan: Plan) -> None:
        self._policy, self._data, self._plan = policy, data, plan
        self._random = Random(plan.seed)
        self._optimizer = AdamW(policy.parameters(), lr=plan.learning_rate, weight_decay=0.0)
        ramp = max(plan.warmup_steps, 1)
        self._warm_up = LambdaLR(self._optimizer, lambda step: min(1.0, (step + 1) / ramp))
        self.kl_weight = plan.kl_weight
        # The incomplete last batch is left out; the next epoch mixes anew.
        self.steps = max(len(data.texts) // plan.batch_size, 1)

    def state(self, epochs: int, curves: dict[str, list[float]]) -> State:
        return State(
            epochs=epochs,
            curves=curves,
            weights=self._policy.weights(),
            optimizer=self._optimizer.state_dict(),
            warm_up=self._warm_up.state_dict(),
            kl_weight=self.kl_weight,
            order=self._random.getstate(),
            torch_random=torch.get_rng_state(),
        )

    def go_on_from(self, state: State) -> None:
        self._policy.restore(state.weights)
        self._optimizer.load_state_dict(state.optimizer)
        self._warm_up.load_state_dict(state.warm_up)
        self.kl_weight = state.kl_weight
        self._random.setstate(state.order)
        torch.set_rng_state(state.torch_random)

    def batches(self) -> Iterator[list[int]]:
        order = self._random.sample(range(len(self._data.texts)), len(self._data.texts))
        size = self._plan.batch_size
        return (order[at * size : (at + 1) * size] for at in range(self.steps))

    def step(self, picked: list[int]) -> dict[str, float]:
        loss, shown = self._losses(picked)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = clip_grad_norm_(self._policy.parameters(), self._plan.clip)
        for name, value in (shown | {"gradient": norm.item()}).items():
            if not isfinite(value):
                raise NotFinite(f"the {name} is {value}")
        self._optimizer.step()
        self._warm_up.step()
        return shown

    def drift(self) -> Drift:
        """On fresh answers of the policy as it is now."""
        data, plan = self._data, self._plan
        picked = self._random.sample(data.texts, min(plan.probe_samples, len(data.texts)))
        seed = self._random.randrange(2**31)
        self._check(picked)
        fresh = self._policy.sample([text.prompt_ids for text in picked], seed).texts
        own = self._policy.logprobs(fresh).tolist()
        parent = self._policy.logprobs(fresh, "parent").tolist()
        base = self._policy.logprobs(fresh, "base").tolist()
        return Drift(k1(own, parent), k2(own, parent), k3(own, parent), k1(own, base))

    def adapt(self, kl: float) -> None:
        self.kl_weight = adapted(self.kl_weight, kl, self._plan.kl_target)

    def _check(self, texts: list[Text]) -> None:
        # First: to draw a token where its chances are no numbers ends the process, on a GPU.
        if not self._policy.is_finite():
            raise NotFinite("a weight is not finite")
        if not self._policy.logprobs(texts).isfinite().all():
            raise NotFinite("a log-probability is not finite")

    def _losses(self, picked: list[int]) -> tuple[Tensor, dict[str, float]]:
        data, plan = self._data, self._plan
        texts = [data.texts[i] for i in picked]
        liked, weights = data.liked[picked], data.weights[picked]  # (B,)
        strangers = [data.strangers[i] for i in picked]
        logprobs, mismatched = self._policy.with_strangers(texts, strangers)  # (B,) each
        gains = logprobs - data.parent[picked]
        baseline = kto_baseline(mismatched - data.parent_strangers[picked])
        lifted = weights * torch.where(liked, data.up_weight, data.down_weight)
        lengths = torch.tensor([len(t.answer_ids) for t in texts], device=gains.device)
        preference = kto(gains, liked, weights=lifted, baseline=baseline, beta=plan.beta)
        imitation = sft(logprobs, lengths, weights * liked)
        loss = preference + plan.sft_weight * imitation
        shown = {"kto": preference, "sft": imitation, "baseline": baseline}
        if plan.kl_weight:
            shown["drift"] = drift(gains)
            loss = loss + self.kl_weight * shown["drift"]
        return loss, {name: value.item() for name, value in ({"loss": loss} | shown).items()}
