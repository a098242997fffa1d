"""TRL's KTO from stored ids. Its own data path would tokenize anew."""

from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import KTOConfig, KTOTrainer

from trainer.course import Places
from trainer.plan import Plan
from trainer.rows import Row


class Fed(KTOTrainer):  # type: ignore[misc]
    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset

    def log(self, *_: Any, **__: Any) -> None:
        """Only tables are printed."""


def train(places: Places, parent: Path | None, rows: list[Row], plan: Plan) -> Any:
    """What is not named is TRL's default: weights 1 and 1, a rate that falls to nothing, no SFT."""
    settings = KTOConfig(
        str(places.state / "trl"),
        per_device_train_batch_size=plan.batch_size,
        num_train_epochs=plan.epochs,
        learning_rate=plan.learning_rate,
        beta=plan.beta,
        gradient_checkpointing=False,
        use_cpu=True,
        bf16=False,
        report_to="none",
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_drop_last=True,
        seed=plan.seed,
    )
    trainer = Fed(
        _model(places.base, parent, plan),
        args=settings,
        train_dataset=Dataset.from_list(kto_rows(rows, plan.batch_size)),
        processing_class=AutoTokenizer.from_pretrained(places.base),
    )
    trainer.train()
    return trainer.model


def kto_rows(rows: list[Row], size: int) -> list[dict[str, Any]]:
    """Each prompt with the answer before it in its batch, as TRL pairs them."""
    whole = rows[: len(rows) // size * size]
    return [
        {
            "prompt_ids": list(row.text.prompt_ids),
            "completion_ids": list(row.text.answer_ids),
            "KL_completion_ids": list(whole[_before(at, size)].text.answer_ids),
            "label": row.liked,
        }
        for at, row in enumerate(whole)
    ]


def _before(at: int, size: int) -> int:
    return at - 1 if at % size else at + size - 1


def _model(base: str, parent: Path | None, plan: Plan) -> Any:
    model = AutoModelForCausalLM.from_pretrained(base)
    if parent is not None:
        return PeftModel.from_pretrained(model, parent, is_trainable=True)
    torch.manual_seed(plan.seed)
    fresh = LoraConfig(
        task_type="CAUSAL_LM", r=plan.rank, lora_alpha=plan.alpha, target_modules="all-linear"
    )
    return get_peft_model(model, fresh)
