"""What stable and base think of answers: one base model, and on it the LoRA that is stable now."""

import gc
import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import torch
from peft import PeftModel

from trainer.base_model import base_files
from trainer.batch import Text
from trainer.device import device
from trainer.forward import Forward
from trainer.load import load_base
from trainer.low_rank import simplify
from trainer.plan import Plan


class Likelihoods(NamedTuple):
    """Log-probabilities, summed over the answer."""

    under_stable: float
    under_base: float


class Scales:
    """The model is loaded when it is first needed, and again after `put_down`."""

    def __init__(self, base: str, plan: Plan, clock: Callable[[], float] = monotonic) -> None:
        # Nothing learns here, and one process holds all.
        self._plan = plan.model_copy(update={"checkpointing": False, "shard": False})
        self._base, self._clock = base, clock
        self.loading = 0.0  # of the clock, so far: that is no work, or a long pause would follow it
        self._model: Any = None
        self._forward: Forward | None = None
        self._lora: PeftModel | None = None
        self._worn: Path | None = None

    def weigh(self, texts: Sequence[Text], stable: Path | None) -> list[Likelihoods]:
        """`stable`: the folder of its LoRA; None: base itself is stable."""
        began = self._clock()
        self._wear(stable)
        self.loading += self._clock() - began
        under_stable = self._sums(texts)
        with self._lora.disable_adapter() if self._lora else nullcontext():
            under_base = self._sums(texts) if self._lora else under_stable
        return [Likelihoods(*both) for both in zip(under_stable, under_base, strict=True)]

    def usual(self) -> dict[str, Any]:
        """How an engine draws where a request does not say: as the model's files have it."""
        path = base_files(self._base) / "generation_config.json"
        found: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
        return found

    def put_down(self) -> None:
        """Its memory is there for others."""
        if self._model is None:
            return
        self._model = self._forward = self._lora = self._worn = None
        gc.collect()
        torch.cuda.empty_cache()

    @torch.no_grad()
    def _sums(self, texts: Sequence[Text]) -> list[float]:
        assert self._forward is not None
        found: list[float] = self._forward.token_logprobs(texts).sum(1).tolist()
        return found

    def _wear(self, stable: Path | None) -> None:
        if self._forward is None:
            self._model = load_base(self._base, self._plan).eval().requires_grad_(False)
            self._forward = Forward(self._model, self._plan)
        if stable == self._worn:
            return
        if self._lora is not None:
            self._lora.unload()
            self._lora = self._worn = None
        if stable is not None:
            self._lora = PeftModel.from_pretrained(self._model, stable)
            simplify(self._lora)
            self._worn = stable


def on_gpu() -> bool:
    return device().type == "cuda"
