"""Packed rows by flash attention on a GPU, beside the model's own forward pass."""

import pytest
import torch

from tests.trainer.test_forward import KINDS, TEXTS, make, plainly, slopes
from trainer.batch import Text

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
    pytest.mark.filterwarnings("default"),
]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("kind", KINDS)
def test_packed_texts_are_scored_as_one_at_a_time(
    kind: str, texts: list[Text], dtype: torch.dtype
) -> None:
    model, forward = make(kind, on="cuda", dtype=dtype)
    near = 1e-4 if dtype is torch.float32 else 0.1
    packed, plain = forward.token_logprobs(texts), plainly(model, forward, texts)
    assert torch.allclose(packed, plain, atol=near)
    for ours, expected in zip(slopes(model, packed), slopes(model, plain), strict=True):
        assert torch.nn.functional.cosine_similarity(ours.flatten(), expected.flatten(), 0) > 0.99
