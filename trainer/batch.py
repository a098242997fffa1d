"""A prompt and its answer; prompts as one padded tensor. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


class Text(NamedTuple):
    """An answer to a prompt, as the token ids that the engine saw and drew."""

    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]


def pad_left(prompts: Sequence[tuple[int, ...]]) -> tuple[Tensor, Tensor]:
    """Prompts that end at the same place, for sampling: ids and attention mask, each (B, P)."""
    ids = [torch.tensor(prompt) for prompt in prompts]
    seen = [torch.ones_like(row) for row in ids]
    padded = [pad_sequence(rows, batch_first=True, padding_side="left") for rows in (ids, seen)]
    return padded[0], padded[1]
