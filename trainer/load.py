"""The base model and a LoRA, from the disk to where they learn: a GPU if there is one."""

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar

from trainer.plan import Plan
from trainer.policy import Policy


def load_policy(base: str, parent: Path | None, plan: Plan) -> Policy:
    """The parent on its base, ready to learn; without a parent a LoRA that changes nothing yet."""
    disable_progress_bar()  # the round has its own
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(base, dtype=dtype).to(device)
    torch.manual_seed(plan.seed)
    if parent is not None:
        return Policy(PeftModel.from_pretrained(model, parent, is_trainable=True), base, plan)
    fresh = LoraConfig(
        task_type="CAUSAL_LM",
        r=plan.rank,
        lora_alpha=plan.alpha,
        target_modules=_linears(model),
    )
    return Policy(get_peft_model(model, fresh), base, plan)


def _linears(model: Any) -> set[str]:
    """q_proj, up_proj and so on: all but the head, where PEFT and vLLM do not agree on a LoRA."""
    head = model.get_output_embeddings()
    return {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    }
