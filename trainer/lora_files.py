"""The two files of a LoRA, as PEFT names them and vLLM loads them. Knows nothing of torch."""

import json
from pathlib import Path

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"


def weight_names(module: str) -> tuple[str, str]:
    """The names of A and B of the linear layer `module`, such as `model.layers.0.mlp.up_proj`."""
    return (f"base_model.model.{module}.lora_A.weight", f"base_model.model.{module}.lora_B.weight")


def write_weights(folder: Path, serialized: bytes) -> None:
    # Not safetensors' own save_file: its files are private, and the engine may be another user.
    (folder / WEIGHTS).write_bytes(serialized)


def write_config(folder: Path, *, rank: int, alpha: float, targets: list[str], base: str) -> None:
    """Only the fields that say something, in a fixed order: equal adapters have equal bytes."""
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": sorted(targets),
        "inference_mode": True,
    }
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n")
