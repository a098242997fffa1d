"""A LoRA's share of a linear layer, in the precision of what goes through it.

PEFT's own casts every input to the LoRA's float32 and keeps the copy for the gradient, and scales
and adds what comes out. Of a step in bfloat16 on a GPU that was a third (docs/experiments.md).
"""

from typing import Any

import torch
from peft.tuners.lora.layer import LoraLayer, LoraVariant
from torch import Tensor


def simplify(model: Any) -> None:
    """From now on all LoRA layers of the model compute as is told here."""
    for layer in model.modules():
        if isinstance(layer, LoraLayer):
            layer.cast_input_dtype_enabled = False
            layer.lora_variant.update(dict.fromkeys(layer.lora_A, _Plain))


class _Plain(LoraVariant):  # type: ignore[misc]
    @staticmethod
    def forward(
        module: LoraLayer, active_adapter: str, x: Tensor, result: Tensor, **_: Any
    ) -> Tensor:
        down, up = module.lora_A[active_adapter].weight, module.lora_B[active_adapter].weight
        scale = module.scaling[active_adapter]
        found: Tensor = _Added.apply(result, x.to(result.dtype), down, up, scale)  # type: ignore[no-untyped-call]
        return found


class _Added(torch.autograd.Function):
    """result + scale · x downᵀ upᵀ, in the place of the result."""

    @staticmethod
    def forward(
        ctx: Any,
        result: Tensor,  # (…, O)
        x: Tensor,  # (…, I)
        down: Tensor,  # (R, I)
        up: Tensor,  # (O, R)
        scale: float,
    ) -> Tensor:
        down, up = down.to(x.dtype), up.to(x.dtype)
        thin = x.flatten(0, -2) @ down.T  # (T, R)
        result.view(-1, len(up)).addmm_(thin, up.T, alpha=scale)
        ctx.mark_dirty(result)
        ctx.save_for_backward(x, thin, down, up)
        ctx.scale = scale
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, thin, down, up = ctx.saved_tensors
        flat = grad.flatten(0, -2)  # (T, O)
        slope = (flat @ up).mul_(ctx.scale)  # (T, R)
        of_x = (slope @ down).view_as(x) if ctx.needs_input_grad[1] else None
        of_down = (slope.T @ x.flatten(0, -2)).float()
        of_up = (flat.T @ thin).float().mul_(ctx.scale)
        return grad, of_x, of_down, of_up, None
