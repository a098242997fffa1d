"""How much is learned: on a GPU by half a billion parameters, on a CPU by 19 million."""

from typing import Any

import torch

ON_GPU = torch.cuda.is_available()
WHERE = "cuda" if ON_GPU else "cpu"

# As Qwen2.5's smallest, with the attention of Qwen3.
HALF_A_BILLION: dict[str, Any] = dict(
    vocab_size=151_936,
    hidden_size=896,
    num_hidden_layers=24,
    num_attention_heads=14,
    num_key_value_heads=2,
    head_dim=64,
    intermediate_size=4864,
    max_position_embeddings=4096,
    dtype=torch.bfloat16,
)
SMALL: dict[str, Any] = dict(
    vocab_size=16_384,
    hidden_size=384,
    num_hidden_layers=8,
    num_attention_heads=6,
    num_key_value_heads=2,
    head_dim=64,
    intermediate_size=1024,
    max_position_embeddings=512,
)
CONFIG = HALF_A_BILLION if ON_GPU else SMALL
ANSWERS = 16 if ON_GPU else 8  # a step: so many thumbs, or half as many pairs
# Tokens of prompts and of answers, and steps; the first of all is not timed. In this order: the
# memory is that of the mixed ones, and the curve is of small ones.
LENGTHS = (
    {
        "mixed": ((64, 768), (32, 512), 12),
        "equal": ((256, 256), (256, 256), 8),
        "curve": ((4, 12), (2, 14), 20),
    }
    if ON_GPU
    else {
        "mixed": ((64, 192), (32, 224), 3),
        "equal": ((128, 128), (128, 128), 1),
        "curve": ((4, 12), (2, 14), 20),
    }
)
