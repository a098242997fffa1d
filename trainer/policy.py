"""The base model with one LoRA on it: log-probabilities, fresh answers, files.

One model serves as three: the `policy` that learns, its `parent` (the LoRA as it was at the
start) and the `base` (no LoRA). No second copy of the weights is ever held.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from peft import get_peft_model_state_dict
from safetensors.torch import save
from torch import Tensor
from torch.nn.functional import pad
from transformers import GenerationConfig

from trainer.batch import Text, pad_left
from trainer.forward import Forward
from trainer.lora_files import write_config, write_weights
from trainer.plan import Plan
from trainer.ranks import ALONE, Ranks
from trainer.shared import SharedForward

Who = Literal["policy", "parent", "base"]
Weights = dict[str, Tensor]


class Sampled(NamedTuple):
    texts: list[Text]
    ended: list[bool]  # by the model itself, not by the limit


# One fresh answer to each prompt, drawn by this seed.
Speak = Callable[[Sequence[tuple[int, ...]], int], Sampled]


def as_wide(parts: Sequence[Tensor]) -> Tensor:
    """(N, A) of (n, a) each, with zeros where one is less wide."""
    width = max(part.shape[1] for part in parts)
    return torch.cat([pad(part, (0, width - part.shape[1])) for part in parts])


class Policy:
    def __init__(self, model: Any, base: str, plan: Plan, ranks: Ranks = ALONE) -> None:
        self._model = model.eval()  # no dropout anywhere; gradients flow all the same
        self._base = base
        self._plan = plan
        self._ranks = ranks
        self.device: torch.device = model.device
        found = model.generation_config.eos_token_id
        self.ends: list[int] = [found] if isinstance(found, int) else list(found or [])
        # A model's own generation_config may bring top_k or a repetition penalty with it.
        model.get_base_model().generation_config = GenerationConfig()
        forward = Forward(model.get_base_model(), plan)
        self._forward = forward if ranks.world == 1 else SharedForward(forward, ranks, plan)
        self.parent = self.weights()

    @property
    def longest(self) -> int:
        """Tokens of an answer."""
        return self._plan.max_new_tokens

    def parameters(self) -> list[Tensor]:
        return list(self._trainable().values())

    def weights(self) -> Weights:
        """A copy of the LoRA as it is now."""
        return {name: tensor.detach().clone() for name, tensor in self._trainable().items()}

    @torch.no_grad()
    def restore(self, weights: Weights) -> None:
        for name, tensor in self._trainable().items():
            tensor.copy_(weights[name])

    def sum_gradients(self, beside: Sequence[Tensor] = ()) -> None:
        """Of all processes of the round, each with the gradient of its own texts."""
        self._ranks.sum_gradients([*self.parameters(), *beside])

    def is_finite(self) -> bool:
        return all(bool(tensor.isfinite().all()) for tensor in self.parameters())

    def token_logprobs(self, texts: Sequence[Text]) -> Tensor:
        """(B, A), zero after an answer's end. In float32."""
        return self._forward.token_logprobs(texts)

    def with_values(self, texts: Sequence[Text], head: Tensor) -> tuple[Tensor, Tensor]:
        """(B, A) each: and what a head, (H + 1,), reads from the state that predicted a token."""
        return self._forward.with_values(texts, head)

    def last_states(self, texts: Sequence[Text]) -> Tensor:
        """(B, H) of each answer's last token, after all layers: what a head of its own reads."""
        return self._forward.last_states(texts)

    def with_strangers(
        self, texts: Sequence[Text], strangers: Sequence[Text]
    ) -> tuple[Tensor, Tensor]:
        """(B,) of each, summed over each answer; of the strangers, without gradient.

        A stranger is another answer to its text's prompt, which is not computed again for it.
        """
        found, other = self._forward.with_strangers(texts, strangers)
        return found.sum(1), other.sum(1)

    @torch.no_grad()
    def logprobs(self, texts: Sequence[Text], who: Who = "policy") -> Tensor:
        """(N,), summed over each answer."""
        return torch.cat([chunk.sum(1) for chunk in self._by_chunks(texts, who)])

    @torch.no_grad()
    def every_logprob(self, texts: Sequence[Text], who: Who = "policy") -> Tensor:
        """(N, A), zero after an answer's end, and without gradient: of any number of texts."""
        return as_wide(self._by_chunks(texts, who))

    def _by_chunks(self, texts: Sequence[Text], who: Who) -> list[Tensor]:
        size = 8 * self._plan.batch_size
        with self._as(who):
            return [self.token_logprobs(texts[at : at + size]) for at in range(0, len(texts), size)]

    @torch.no_grad()
    def sample(
        self,
        prompts: Sequence[tuple[int, ...]],
        seed: int,
        who: Who = "policy",
        *,
        greedy: bool = False,
    ) -> Sampled:
        """One fresh answer to each, from the whole distribution at temperature 1; greedy: at 0."""
        world, rank = self._ranks.world, self._ranks.rank
        torch.manual_seed(seed * world + rank)
        # As many for each process, though one be drawn for nothing: sharded, all generate as often.
        turns = range(rank, -(-len(prompts) // world) * world, world)
        own = [prompts[at % len(prompts)] for at in turns]
        size = 8 * self._plan.batch_size
        chunks = [own[at : at + size] for at in range(0, len(own), size)]
        with self._as(who), self._forward.unpacked():
            every = self._ranks.every(
                [a for chunk in chunks for a in self._generate(chunk, greedy)]
            )
        drawn = [every[at % world][at // world] for at in range(len(prompts))]
        texts = [Text(prompt, answer) for prompt, answer in zip(prompts, drawn, strict=True)]
        return Sampled(texts, [answer[-1] in self.ends for answer in drawn])

    @contextmanager
    def wearing(self, weights: Weights) -> Iterator[None]:
        """With another LoRA of the same shape; what it has become is lost unless taken."""
        now = self.weights()
        self.restore(weights)
        try:
            yield
        finally:
            self.restore(now)

    @contextmanager
    def lent(self) -> Iterator[Any]:
        """The model, as somebody else would train it: with its own attention, in training mode."""
        with self._forward.unpacked():
            try:
                yield self._model.train()
            finally:
                self._model.eval()

    def save(self, folder: Path) -> None:
        config = self._model.peft_config["default"]
        # "auto" would ask the model hub whether the vocabulary has grown.
        state = get_peft_model_state_dict(self._model, save_embedding_layers=False)
        write_weights(folder, save({name: t.cpu().contiguous() for name, t in state.items()}))
        targets = list(config.target_modules)
        write_config(
            folder, rank=config.r, alpha=config.lora_alpha, targets=targets, base=self._base
        )

    def _generate(
        self, prompts: Sequence[tuple[int, ...]], greedy: bool
    ) -> Iterator[tuple[int, ...]]:
        ids, seen = (tensor.to(self.device) for tensor in pad_left(prompts))
        # top_k would be 50 unless told otherwise.
        how = {"do_sample": False} if greedy else {"do_sample": True, "top_k": 0}
        drawn = self._model.generate(
            input_ids=ids,
            attention_mask=seen,
            synced_gpus=self._plan.shard,
            generation_config=GenerationConfig(
                **how,
                temperature=1.0,
                top_p=1.0,
                max_new_tokens=self._plan.max_new_tokens,
                eos_token_id=self.ends or None,
                pad_token_id=self.ends[0] if self.ends else 0,
            ),
        )
        for answer in drawn[:, ids.shape[1] :].tolist():
            end = next((at for at, token in enumerate(answer) if token in self.ends), len(answer))
            yield tuple(answer[: end + 1])  # with its end, if it has one

    @contextmanager
    def _as(self, who: Who) -> Iterator[None]:
        if who == "policy":
            yield
        elif who == "base":
            with self._model.disable_adapter():
                yield
        else:
            with self.wearing(self.parent):
                yield

    def _trainable(self) -> Weights:
        return {name: p for name, p in self._model.named_parameters() if p.requires_grad}
