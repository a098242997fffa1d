"""One step and one look at the drift, and all that lives as long as the loop.

Knows no budgets, and of the method only its lessons.
"""

from collections.abc import Iterator
from itertools import pairwise
from math import isfinite
from random import Random
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from trainer.batch import Text
from trainer.endings import NotFinite
from trainer.kl import Drift, adapted, drift_of
from trainer.lessons import Lessons, Renewing
from trainer.losses import drift
from trainer.plan import Plan
from trainer.policy import Policy, Weights


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
    beside: list[Tensor]  # what learns beside the policy


_BESIDE_RATE = 10.0  # times the LoRA's: it begins at nothing


class Learner:
    def __init__(self, policy: Policy, lessons: Lessons, plan: Plan) -> None:
        self._policy, self._lessons, self._plan = policy, lessons, plan
        self._random = Random(plan.seed)
        self._beside = lessons.parameters() if isinstance(lessons, Renewing) else []
        groups = [{"params": policy.parameters(), "lr": plan.learning_rate}]
        if self._beside:
            groups.append({"params": self._beside, "lr": _BESIDE_RATE * plan.learning_rate})
        self.optimizer = AdamW(groups, weight_decay=0.0)
        ramp = max(plan.warmup_steps, 1)
        self.warm_up = LambdaLR(self.optimizer, lambda step: min(1.0, (step + 1) / ramp))
        self.kl_weight = plan.kl_weight

    @property
    def steps(self) -> int:
        """Of the epoch that was begun."""
        return -(-len(self._lessons) // self._plan.batch_size)

    @property
    def renews(self) -> bool:
        return isinstance(self._lessons, Renewing)

    def renew(self, epoch: int) -> dict[str, float]:
        assert isinstance(self._lessons, Renewing)
        return self._lessons.renew(self._policy, epoch, self.kl_weight)

    def state(self, epochs: int, curves: dict[str, list[float]]) -> State:
        return State(
            epochs=epochs,
            curves=curves,
            weights=self._policy.weights(),
            optimizer=self.optimizer.state_dict(),
            warm_up=self.warm_up.state_dict(),
            kl_weight=self.kl_weight,
            order=self._random.getstate(),
            torch_random=torch.get_rng_state(),
            beside=[one.detach().clone() for one in self._beside],
        )

    def go_on_from(self, state: State) -> None:
        self._policy.restore(state.weights)
        self.optimizer.load_state_dict(state.optimizer)
        self.warm_up.load_state_dict(state.warm_up)
        self.kl_weight = state.kl_weight
        self._random.setstate(state.order)
        for one, kept in zip(self._beside, state.beside, strict=True):
            one.data.copy_(kept)
        torch.set_rng_state(state.torch_random)

    def batches(self) -> Iterator[list[int]]:
        """Every lesson once, in batches of almost one size: a short last one would weigh more."""
        count = len(self._lessons)
        order = self._random.sample(range(count), count)
        edges = [at * count // self.steps for at in range(self.steps + 1)]
        return (order[start:end] for start, end in pairwise(edges))

    def step(self, picked: list[int]) -> dict[str, float]:
        loss, shown = self._losses(picked)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._policy.sum_gradients(self._beside)
        norm = clip_grad_norm_(self._policy.parameters(), self._plan.clip)
        for name, value in (shown | {"gradient": norm.item()}).items():
            if not isfinite(value):
                raise NotFinite(f"the {name} is {value}")
        self.optimizer.step()
        self.warm_up.step()
        return shown

    def drift(self) -> Drift:
        """On fresh answers of the policy as it is now."""
        texts = self._lessons.texts
        picked = self._random.sample(texts, min(self._plan.probe_samples, len(texts)))
        seed = self._random.randrange(2**31)
        self._check(picked)
        fresh = self._policy.sample([text.prompt_ids for text in picked], seed).texts
        own = self._policy.logprobs(fresh).tolist()
        parent = self._policy.logprobs(fresh, "parent").tolist()
        base = self._policy.logprobs(fresh, "base").tolist()
        return drift_of(own, parent, base)

    def adapt(self, kl: float) -> None:
        self.kl_weight = adapted(self.kl_weight, kl, self._plan.kl_target)

    def _check(self, texts: list[Text]) -> None:
        # First: to draw a token where its chances are no numbers ends the process, on a GPU.
        if not self._policy.is_finite():
            raise NotFinite("a weight is not finite")
        if not self._policy.logprobs(texts).isfinite().all():
            raise NotFinite("a log-probability is not finite")

    def _losses(self, picked: list[int]) -> tuple[Tensor, dict[str, float]]:
        loss, shown, gains = self._lessons.losses(self._policy, picked)
        if self._plan.kl_weight and gains is not None:  # else what it costs is in the rewards
            shown = shown | {"drift": drift(gains)}
            loss = loss + self.kl_weight * shown["drift"]
        return loss, {name: value.item() for name, value in ({"loss": loss} | shown).items()}
