"""Texts → packed rows → the model → the log-probability of every answer token."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_layers import GradientCheckpointingLayer

from trainer.attention import NAME, KeysAndValues, Layout
from trainer.batch import Text
from trainer.head import token_logprobs
from trainer.packing import Packed, follow, pack
from trainer.plan import Plan

# Of a shared prompt and a neighbour.
_TRIED = [Text((0, 1, 2), (3, 4)), Text((0, 1, 2), (5, 6)), Text((4,), (2,))]
_NEAR, _NEAR_IN_HALF = 1e-3, 0.3  # a logit of 32 in bfloat16 is off by up to 0.06


class Forward:
    """The model attends to packed rows from now on, but within `unpacked`."""

    def __init__(self, model: Any, plan: Plan) -> None:
        """`model`: the causal one, with whatever LoRA is in its layers."""
        self._model, self._plan = model, plan
        self._usual: str = model.config._attn_implementation
        self._checkpointed: list[Any] = []
        if plan.checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
            layers = (m for m in model.modules() if isinstance(m, GradientCheckpointingLayer))
            self._checkpointed = list(layers)
        model.set_attn_implementation(NAME)
        self._check()

    def token_logprobs(self, texts: Sequence[Text]) -> Tensor:
        """(B, A), zero after an answer's end. In float32."""
        found = _Found(texts, self._model.device)
        for row in pack(texts, self._plan.packed_tokens):
            found.add(row, self._answers(row, self._hidden(row)))
        return found.values

    def with_values(self, texts: Sequence[Text], head: Tensor) -> tuple[Tensor, Tensor]:
        """(B, A) each: and what a head, (H + 1,), reads from the state that predicted each token.

        The last of the head is its bias.
        """
        found, values = _Found(texts, self._model.device), _Found(texts, self._model.device)
        weight, bias = head[:-1] / (len(head) - 1) ** 0.5, head[-1]
        for row in pack(texts, self._plan.packed_tokens):
            hidden = self._hidden(row)
            found.add(row, self._answers(row, hidden))
            at = torch.tensor(row.predictors, device=hidden.device)
            values.add(row, hidden.index_select(0, at).float() @ weight + bias)
        return found.values, values.values

    def last_states(self, texts: Sequence[Text]) -> Tensor:
        """(B, H) of each answer's last token, after all layers."""
        found = torch.zeros(len(texts), self._model.config.hidden_size, device=self._model.device)
        for row in pack(texts, self._plan.packed_tokens):
            owners, at = (torch.tensor([*ids], device=found.device) for ids in _ends(row))
            states = self._hidden(row).index_select(0, at).to(found.dtype)
            found = found.index_put((owners,), states)
        return found

    def with_strangers(
        self, texts: Sequence[Text], strangers: Sequence[Text]
    ) -> tuple[Tensor, Tensor]:
        """(B, A) of each; the second without gradient. Each stranger answers its text's prompt.

        Their prompts are not computed again: their answers look at the texts' own.
        """
        device = self._model.device
        found, other = _Found(texts, device), _Found(strangers, device)
        for row in pack(texts, self._plan.packed_tokens):
            kept: KeysAndValues = {}
            hidden = self._hidden(row, keep=kept)
            found.add(row, self._answers(row, hidden))
            with torch.no_grad():
                after = follow(row, strangers)
                more = self._hidden(after, before=kept)
                other.add(after, self._answers(after, torch.cat((hidden.detach(), more))))
        return found.values, other.values

    @contextmanager
    def unpacked(self) -> Iterator[None]:
        """The attention that the model came with, to generate."""
        self._model.set_attn_implementation(self._usual)
        try:
            yield
        finally:
            self._model.set_attn_implementation(NAME)

    def _hidden(self, row: Packed, **kept: KeysAndValues) -> Tensor:
        """(T, H)"""
        layout = Layout(row, self._model.device, **kept)
        with self._checkpointing():
            states = self._model.get_decoder()(
                input_ids=torch.tensor([row.ids], device=self._model.device),
                position_ids=torch.tensor([row.positions], device=self._model.device),
                use_cache=False,
                packed=layout,
            ).last_hidden_state
        layout.keep_no_more()
        found: Tensor = states[0]
        return found

    def _answers(self, row: Packed, hidden: Tensor) -> Tensor:
        """(N,) of the row's answer tokens, one answer after the other."""
        head = self._model.get_output_embeddings()
        at = torch.tensor(row.predictors, device=hidden.device)
        targets = torch.tensor(row.targets, device=hidden.device)
        return token_logprobs(hidden.index_select(0, at), head.weight, head.bias, targets)

    def _check(self) -> None:
        """Some models do more with their attention, logits or layers than is known here."""
        # With gradients where layers are checkpointed: some of them drop out then.
        with torch.set_grad_enabled(bool(self._checkpointed)):
            packed, gaps = self.token_logprobs(_TRIED).detach(), list[Tensor]()
        with torch.no_grad(), self.unpacked():
            for (prompt, answer), found in zip(_TRIED, packed, strict=True):
                ids = torch.tensor([prompt + answer], device=self._model.device)
                logprobs = self._model(ids, use_cache=False).logits[0].float().log_softmax(1)
                own = [logprobs[len(prompt) - 1 + at, token] for at, token in enumerate(answer)]
                gaps.append((found[: len(own)] - torch.stack(own)).abs().max())
        gap = torch.stack(gaps).max().item()
        near = _NEAR if self._model.dtype == torch.float32 else _NEAR_IN_HALF
        if not gap <= near:  # not a number is not near
            raise ValueError(
                f"{type(self._model).__name__}: packed log-probabilities are off by {gap:.2g}; "
                f"expected at most {near}, as of a model like Llama or Qwen3"
            )

    @contextmanager
    def _checkpointing(self) -> Iterator[None]:
        """Transformers checkpoints layers in training only; what is in them stays as it was."""
        for layer in self._checkpointed:
            layer.training = torch.is_grad_enabled()
        try:
            yield
        finally:
            for layer in self._checkpointed:
                layer.training = False


def _ends(row: Packed) -> tuple[list[int], list[int]]:
    """The texts of the row, and where the last token of each stands."""
    return [*row.lasts], [*row.lasts.values()]


class _Found:
    """The answers' tokens, where they belong."""

    def __init__(self, texts: Sequence[Text], device: torch.device) -> None:
        longest = max((len(text.answer_ids) for text in texts), default=0)
        self.values = torch.zeros(len(texts), longest, device=device)

    def add(self, row: Packed, found: Tensor) -> None:
        at = [torch.tensor(ids, device=found.device) for ids in (row.owners, row.places)]
        self.values = self.values.index_put((at[0], at[1]), found)
