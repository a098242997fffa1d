"""The base model and a LoRA, from the disk to where they learn: a GPU if there is one."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import AutoModelForCausalLM, BitsAndBytesConfig
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.utils.logging import disable_progress_bar

from trainer.device import device, dtype_of
from trainer.endings import RoundFailed
from trainer.low_rank import simplify
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.ranks import ALONE, Ranks


def load_policy(base: str, parent: Path | None, plan: Plan, ranks: Ranks = ALONE) -> Policy:
    """The parent on its base, ready to learn; without a parent a LoRA that changes nothing yet."""
    disable_progress_bar()  # the round has its own
    model = _with_lora(load_base(base, plan), parent, plan)
    simplify(model)
    if plan.shard:
        _shard(model.get_base_model().get_decoder(), ranks.world)
        model.to(device())  # what is in no layer
    return Policy(model, base, plan, ranks)


def load_base(base: str, plan: Plan) -> Any:
    dtype = dtype_of(plan)
    if plan.quantize is not None:
        model = AutoModelForCausalLM.from_pretrained(
            base, dtype=dtype, quantization_config=_four_bit(dtype), device_map={"": device()}
        )
        _keep_gradients(model)
        return model
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
    return model if plan.shard else model.to(device())  # whole it may not fit


def _four_bit(dtype: torch.dtype) -> BitsAndBytesConfig:
    """All linears but the head, as QLoRA has it (Dettmers 2023)."""
    if find_spec("bitsandbytes") is None:
        raise RoundFailed(
            "quantize is '4bit' and bitsandbytes is not installed; "
            "expected pip install 'thumbwheel[qlora]'"
        )
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def _keep_gradients(model: Any) -> None:
    """On CPUs with AVX512-BF16 bitsandbytes repacks a weight at the first forward that wants no
    gradient, and nothing learns through it from then on.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def _with_lora(model: Any, parent: Path | None, plan: Plan) -> Any:
    torch.manual_seed(plan.seed)
    if parent is not None:
        return PeftModel.from_pretrained(model, parent, is_trainable=True)
    fresh = LoraConfig(
        task_type="CAUSAL_LM",
        r=plan.rank,
        lora_alpha=plan.alpha,
        target_modules=_linears(model),
    )
    return get_peft_model(model, fresh)


def _linears(model: Any) -> set[str]:
    """q_proj, up_proj and so on: all but the head, where PEFT and vLLM do not agree on a LoRA."""
    head = model.get_output_embeddings()
    return {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    }


def _shard(decoder: Any, world: int) -> None:
    """Layer by layer on to the GPU, a part of each; the LoRA stays whole with everybody."""
    mesh = init_device_mesh(device().type, (world,))
    learned = {parameter for parameter in decoder.parameters() if parameter.requires_grad}
    for layer in decoder.modules():
        if isinstance(layer, GradientCheckpointingLayer):
            fully_shard(layer, mesh=mesh, ignored_params=learned, reshard_after_forward=True)
