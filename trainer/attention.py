"""Attention over a packed row, for models that take theirs from Transformers' AttentionInterface.

Texts side by side in one row never see each other. Registered under NAME on import; a model whose
attention is NAME takes `packed=Layout(…)` in its forward pass.
"""

from functools import cached_property
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface

from trainer.packing import Packed, Segment, Span

NAME = "thumbwheel_packed"
KeysAndValues = dict[int, tuple[Tensor, Tensor]]  # by layer, each (1, Hkv, T, D)
# What some models want of their attention besides, and this one has not.
_UNKNOWN = ("softcap", "s_aux", "position_bias")


class Layout:
    """A packed row, as attention needs it; and the keys and values to look back at, or to keep."""

    def __init__(
        self,
        row: Packed,
        device: torch.device,
        *,
        before: KeysAndValues | None = None,
        keep: KeysAndValues | None = None,
    ) -> None:
        self._row, self._device = row, device
        self._before, self._keep = before, keep
        self._masks: dict[tuple[int, int, int], Tensor] = {}

    def seen(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """All that can be looked at in this layer: (1, Hkv, S, D)."""
        if self._keep is not None:
            self._keep[layer] = key.detach(), value.detach()
        if self._before is None:
            return key, value
        earlier = self._before[layer]
        return torch.cat((earlier[0], key), 2), torch.cat((earlier[1], value), 2)

    def keep_no_more(self) -> None:
        """Else a checkpointed layer, run again for its gradient, would be kept again."""
        self._keep = None

    @cached_property
    def lengths(self) -> list[int]:
        return [segment.own.end - segment.own.start for segment in self._row.segments]

    @cached_property
    def spans(self) -> list[list[Span]]:
        """What each segment looks at: its prefix, if any, and itself."""
        return [self._spans(segment) for segment in self._row.segments]

    @cached_property
    def pieces(self) -> tuple[list[int], list[list[int]]]:
        """All that can be looked at in pieces: their sizes; and which of them a segment sees.

        The gradient of one split is one join; that of a slice for each would be as many full rows.
        """
        ends = {0, self._row.before + len(self._row.ids)}
        edges = sorted(ends.union(*(span for spans in self.spans for span in spans)))
        number = {edge: at for at, edge in enumerate(edges)}
        sizes = [end - start for start, end in pairwise(edges)]
        return sizes, [
            [at for start, end in spans for at in range(number[start], number[end])]
            for spans in self.spans
        ]

    @cached_property
    def looked_at(self) -> Tensor | None:
        """(L,) every segment's keys, one after the other; None where that is the row itself."""
        if all(segment.prefix is None for segment in self._row.segments):
            return None
        at = [torch.arange(*span) for spans in self.spans for span in spans]
        return torch.cat(at).to(self._device)

    @cached_property
    def ends(self) -> tuple[Tensor, Tensor, int, int]:
        """Where the segments end among the queries and among the keys; the longest of each."""
        keys = [sum(end - start for start, end in spans) for spans in self.spans]
        ends = (_ends(sizes).to(self._device) for sizes in (self.lengths, keys))
        return (*ends, max(self.lengths), max(keys))  # type: ignore[return-value]

    def mask(self, queries: int, keys: int, window: int) -> Tensor:
        """(Q, K) True where a query sees a key; both end together."""
        found = self._masks.get((queries, keys, window))
        if found is None:
            ones = torch.ones(queries, keys, dtype=torch.bool, device=self._device)
            found = ones.tril(keys - queries).triu(keys - queries - window + 1)
            self._masks[queries, keys, window] = found
        return found

    def _spans(self, segment: Segment) -> list[Span]:
        own = Span(segment.own.start + self._row.before, segment.own.end + self._row.before)
        return [own] if segment.prefix is None else [segment.prefix, own]


def packed_attention(
    module: Any,
    query: Tensor,  # (1, H, T, D)
    key: Tensor,  # (1, Hkv, T, D)
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    packed: Layout | None = None,
    **other: Any,
) -> tuple[Tensor, None]:
    """What Transformers calls in every layer; the answer is (1, T, H, D)."""
    if packed is None:
        raise ValueError("a forward pass without a packed row; expected packed=Layout(…)")
    if more := [name for name in _UNKNOWN if other.get(name) is not None]:
        raise ValueError(f"attention with {', '.join(more)}; expected none of these")
    key, value = packed.seen(module.layer_idx, key, value)
    flash = query.is_cuda and query.dtype in (torch.bfloat16, torch.float16)
    attend = _all_at_once if flash else _one_by_one
    return attend(query, key, value, packed, scaling, sliding_window), None


def _one_by_one(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: Layout,
    scale: float | None,
    window: int | None,
) -> Tensor:
    """A call for each segment. On CPUs half as long as one call over a padded batch."""
    sizes, seen = layout.pieces
    keys, values, found = torch.split(key, sizes, 2), torch.split(value, sizes, 2), []
    for own, which in zip(torch.split(query, layout.lengths, 2), seen, strict=True):
        k, v = _join(keys, which), _join(values, which)
        q_size, k_size = own.shape[2], k.shape[2]
        plain = q_size == k_size and (window is None or k_size <= window)
        mask = None if plain else layout.mask(q_size, k_size, window or k_size)
        found.append(
            scaled_dot_product_attention(
                own, k, v, attn_mask=mask, is_causal=plain, scale=scale, enable_gqa=True
            )
        )
    return torch.cat(found, 2).transpose(1, 2)


def _all_at_once(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    layout: Layout,
    scale: float | None,
    window: int | None,
) -> Tensor:
    """Torch's own flash attention over segments of any length, keys and queries ending together."""
    groups = query.shape[1] // key.shape[1]
    q, k, v = (tensor[0].transpose(0, 1) for tensor in (query, key, value))  # (T, H, D)
    if layout.looked_at is not None:
        # Not by k[…]: the gradient of that sorts, which took longer than all attention.
        k, v = (tensor.index_select(0, layout.looked_at) for tensor in (k, v))
    # Torch 2.11 knows no enable_gqa here.
    k, v = (tensor.repeat_interleave(groups, 1) for tensor in (k, v))
    window_size = (-1, 0) if window is None else (window - 1, 0)
    found = varlen_attn(q, k, v, *layout.ends, scale=scale, window_size=window_size)
    assert isinstance(found, Tensor)  # more is returned only where more is asked for
    return found[None]


def _join(pieces: tuple[Tensor, ...], which: list[int]) -> Tensor:
    return pieces[which[0]] if len(which) == 1 else torch.cat([pieces[at] for at in which], 2)


def _ends(sizes: list[int]) -> Tensor:
    """(N+1,) cumulative, from 0."""
    return torch.tensor([0, *sizes]).cumsum(0).to(torch.int32)


def _no_mask(*_: Any, **__: Any) -> None:
    """The layout says it all."""


AttentionInterface.register(NAME, packed_attention)
AttentionMaskInterface.register(NAME, _no_mask)
