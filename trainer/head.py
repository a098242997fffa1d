"""A frozen LM head on the tokens that count: never more than a piece of its logits at once."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

# Logits at once: 128 MB in float32, three times that at work. Of 2,048 tokens over a vocabulary of
# 152,000 all at once took 3.6 GB and 6.2 s, pieces of this size 0.4 GB and 4.5 s.
MAX_LOGITS = 2**25


def token_logprobs(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, at_once: int = MAX_LOGITS
) -> Tensor:
    """(N,) of (N, H) states, in float32: what each thinks of its target."""
    if weight.requires_grad:
        raise ValueError("the LM head learns; expected it frozen, as a LoRA on the others has it")
    found: Tensor = _Head.apply(hidden, weight, bias, targets, at_once)  # type: ignore[no-untyped-call]
    return found


class _Head(torch.autograd.Function):
    """The gradient is found along with the value: kept is (N, H) of it instead of (N, V) logits."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, at_once: int
    ) -> Tensor:
        found = torch.empty(len(hidden), device=hidden.device)
        slope = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None  # (N, H)
        size = max(1, at_once // len(weight))
        for at in range(0, len(hidden), size):
            piece = slice(at, at + size)
            logits = linear(hidden[piece], weight, bias).float()  # (n, V)
            whole = logits.logsumexp(1, keepdim=True)
            index = targets[piece, None]
            found[piece] = (logits.gather(1, index) - whole)[:, 0]
            if slope is not None:
                shares = logits.sub_(whole).exp_().to(weight.dtype)
                slope[piece] = weight[targets[piece]] - shares @ weight
        ctx.save_for_backward(slope)
        return found

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        (slope,) = ctx.saved_tensors
        return (grad[:, None] * slope).to(slope.dtype), None, None, None, None
