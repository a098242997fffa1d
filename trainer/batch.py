"""Prompts and answers as one padded tensor. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


class Text(NamedTuple):
    """An answer to a prompt, as the token ids that the engine saw and drew."""

    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]


class Batch(NamedTuple):
    """Padded on the right: attention is causal, so nothing real ever looks at the padding."""

    ids: Tensor  # (B, T) prompt, answer, padding
    answer: Tensor  # (B, T-1) True where the next token is one of the answer


def pad(texts: Sequence[Text]) -> Batch:
    ids = [torch.tensor(text.prompt_ids + text.answer_ids) for text in texts]
    answer = [
        torch.arange(1, len(row)) >= len(text.prompt_ids)
        for row, text in zip(ids, texts, strict=True)
    ]
    return Batch(pad_sequence(ids, batch_first=True), pad_sequence(answer, batch_first=True))


def pad_left(prompts: Sequence[tuple[int, ...]]) -> tuple[Tensor, Tensor]:
    """Prompts that end at the same place, for sampling: ids and attention mask, each (B, P)."""
    ids = [torch.tensor(prompt) for prompt in prompts]
    seen = [torch.ones_like(row) for row in ids]
    padded = [pad_sequence(rows, batch_first=True, padding_side="left") for rows in (ids, seen)]
    return padded[0], padded[1]
