"""The LoRA's share beside PEFT's own, value and gradients."""

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from trainer.low_rank import simplify


def make(dtype: torch.dtype) -> Any:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4, bias=False)).to(dtype)
    model = get_peft_model(layers, LoraConfig(r=3, lora_alpha=7, target_modules=["0", "2"]))
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            nn.init.normal_(parameter, std=0.3)
    return model


def learned(model: Any, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    said = model(x)
    said.float().square().sum().backward()
    return said, [x.grad, *(p.grad for p in model.parameters() if p.requires_grad)]


@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
@pytest.mark.parametrize("shape", [(7, 6), (2, 7, 6)])
def test_it_says_and_learns_what_pefts_own_does(
    dtype: torch.dtype, near: float, shape: tuple[int, ...]
) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    expected, slopes = learned(make(dtype), x.clone().requires_grad_())
    model = make(dtype)
    simplify(model)
    said, found = learned(model, x.clone().requires_grad_())
    assert said.dtype == dtype
    for ours, theirs in zip((said, *found), (expected, *slopes), strict=True):
        assert ours.dtype == theirs.dtype
        scale = theirs.float().abs().max().item()
        assert torch.allclose(ours.float(), theirs.float(), atol=near * scale)


def test_without_the_adapter_it_is_the_base() -> None:
    model, plain, x = make(torch.float32), make(torch.float32), torch.randn(4, 6)
    simplify(model)
    with model.disable_adapter(), plain.disable_adapter():
        assert torch.equal(model(x), plain(x))
