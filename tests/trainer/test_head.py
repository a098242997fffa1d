from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from trainer.head import token_logprobs


def parts() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    targets = torch.tensor([3, 0, 12, 3, 7])
    return torch.randn(5, 8, requires_grad=True), torch.randn(13, 8), torch.randn(13), targets


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("at_once", [1, 26, 10_000])  # a row, two rows, all
def test_it_is_the_softmax_of_all_logits_in_pieces_of_any_size(
    at_once: int, with_bias: bool
) -> None:
    hidden, weight, bias, targets = parts()
    found = token_logprobs(hidden, weight, bias if with_bias else None, targets, at_once)
    logits = hidden @ weight.T + (bias if with_bias else 0)
    expected = logits.log_softmax(1)[torch.arange(5), targets]
    assert torch.allclose(found, expected, atol=1e-5)
    pull = torch.tensor([1.0, -2.0, 0.0, 0.5, 3.0])
    ours, plain = (torch.autograd.grad((pull * f).sum(), hidden)[0] for f in (found, expected))
    assert torch.allclose(ours, plain, atol=1e-5)


def test_half_precision_is_summed_in_float32() -> None:
    hidden, weight, _, targets = parts()
    half = token_logprobs(hidden.bfloat16(), weight.bfloat16(), None, targets)
    assert half.dtype == torch.float32
    assert torch.allclose(half, token_logprobs(hidden, weight, None, targets), atol=0.1)


def test_a_head_that_learns_is_refused() -> None:
    hidden, weight, _, targets = parts()
    with pytest.raises(ValueError, match="expected it frozen"):
        token_logprobs(hidden, weight.requires_grad_(), None, targets)


class Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Remembers the largest tensor that any operation returned."""

    numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if isinstance(found, Tensor):
            self.numel = max(self.numel, found.numel())
        return found


def test_no_more_than_a_piece_of_the_logits_is_ever_there() -> None:
    hidden, weight = torch.randn(400, 2, requires_grad=True), torch.randn(100, 2)
    targets = torch.zeros(400, dtype=torch.long)
    with Largest() as largest:  # type: ignore[no-untyped-call]
        token_logprobs(hidden, weight, None, targets, 1000).sum().backward()  # type: ignore[no-untyped-call]
    assert largest.numel == 1000  # of 40,000
