"""TRL's steps on the same ids and references."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, Qwen3ForCausalLM

from tests.bench.step.clock import Clock, Seen
from tests.bench.step.lessons import BETA, LEARNING_RATE, Lesson
from tests.bench.step.scale import ANSWERS, ON_GPU, WHERE

SHIPPED, ON_LABELS = "TRL as it ships", "TRL, its head on label positions, as on a GPU"
BEST = "TRL so, without checkpointing, its reference computed before"
SETTINGS: dict[str, Any] = dict(
    max_grad_norm=1.0,
    lr_scheduler_type="constant",
    use_cpu=not ON_GPU,
    bf16=ON_GPU,  # as ours: on a CPU it would be of its kernels
    learning_rate=LEARNING_RATE,
    beta=BETA,
    report_to="none",
    save_strategy="no",
    logging_strategy="no",
    disable_tqdm=True,
    remove_unused_columns=False,
)


def theirs(peer: str, method: str, base: Path, lessons: list[Lesson]) -> Seen:
    """TRL's own trainer and its best settings, as far as this peer goes."""
    import trl  # takes seconds, and ours does without
    from datasets import Dataset
    from peft import PeftModel
    from trl.trainer import utils

    if peer != SHIPPED and not ON_GPU:
        utils._use_triton = lambda _: True  # asked only whether to score label positions alone
    rows = [row for lesson in lessons for row in ROWS[method](lesson)]
    model = Qwen3ForCausalLM.from_pretrained(base, dtype="auto").to(WHERE)
    model = PeftModel.from_pretrained(model, base / "adapter", is_trainable=True)
    clock, losses = Clock(), list[float]()
    settings = getattr(trl, f"{method.upper()}Config")(
        str(base / "out"),
        per_device_train_batch_size=len(rows) // len(lessons),
        max_steps=len(lessons),
        gradient_checkpointing=peer != BEST,
        precompute_ref_log_probs=peer == BEST,
        **SETTINGS,
    )
    fed_with_ids(getattr(trl, f"{method.upper()}Trainer"), clock, losses)(
        model,
        args=settings,
        train_dataset=Dataset.from_list(rows if peer == BEST else without_reference(rows)),
        processing_class=AutoTokenizer.from_pretrained(base),
    ).train()
    return clock.seen(losses)


def fed_with_ids(trainer: Any, clock: Clock, losses: list[float]) -> Any:
    """TRL's own data path would tokenize anew, and shuffle pairs."""

    class Fed(trainer):  # type: ignore[misc]
        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

        _precompute_ref_logps = _prepare_dataset

        def _get_train_sampler(self, *_: Any) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)

        def compute_loss(self, *args: Any, **more: Any) -> Any:
            loss = super().compute_loss(*args, **more)
            losses.append(loss.item())
            return loss

        def log(self, *_: Any, **__: Any) -> None:
            """Only tables are printed."""

        def training_step(self, *args: Any, **more: Any) -> Any:
            clock.tick()  # the optimizer's turn is after it, and so is the next data's
            return super().training_step(*args, **more)

        def train(self) -> None:
            super().train()
            clock.tick()

    return Fed


def kto_rows(lesson: Lesson) -> list[dict[str, Any]]:
    return [
        {
            "prompt_ids": list(text.prompt_ids),
            "completion_ids": list(text.answer_ids),
            "KL_completion_ids": list(stranger.answer_ids),
            "label": at % 2 == 0,
            "ref_logps": lesson.reference[at].item(),
            "ref_KL_logps": lesson.reference[ANSWERS + at].item(),
        }
        for at, (text, stranger) in enumerate(zip(lesson.texts, lesson.strangers, strict=True))
    ]


def dpo_rows(lesson: Lesson) -> list[dict[str, Any]]:
    half = ANSWERS // 2
    return [
        {
            "prompt_ids": list(chosen.prompt_ids),
            "chosen_ids": list(chosen.answer_ids),
            "rejected_ids": list(rejected.answer_ids),
            "ref_chosen_logps": lesson.reference[at].item(),
            "ref_rejected_logps": lesson.reference[half + at].item(),
        }
        for at, (chosen, rejected) in enumerate(
            zip(lesson.texts[:half], lesson.texts[half:], strict=True)
        )
    ]


ROWS = {"kto": kto_rows, "dpo": dpo_rows}


def without_reference(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in row.items() if not name.startswith("ref_")} for row in rows
    ]
