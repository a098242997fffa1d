"""TRL's own trainers in the place of `fit`, to compare with. The only file that talks to TRL.

They are handed the logged ids, what the parent thinks of them and our order, schedule and budgets;
what a step does is theirs.
"""

import logging
from collections.abc import Iterator
from functools import partial
from itertools import chain
from math import isfinite
from tempfile import TemporaryDirectory
from typing import Any

from tokenizers import Tokenizer, models
from torch.utils.data import Sampler
from transformers import PreTrainedTokenizerFast, TrainerCallback

from trainer.endings import NotFinite
from trainer.fit import Curves, Fitted, Tell, frozen, go_back, over_budget, remember, unsound
from trainer.learner import Learner
from trainer.lessons import Lessons
from trainer.plan import Plan
from trainer.plan_file import check_backend
from trainer.policy import Policy
from trainer.trl_task import Task, task_of
from trainer.watched import Note, note_all, unheard

_PAD = "<pad>"
_log = logging.getLogger("trainer")


def fit_trl(
    policy: Policy, lessons: Lessons, plan: Plan, *, tell: Tell, note: Note = unheard
) -> Fitted:
    check_backend(plan)
    _log.info("TRL's loop keeps nothing to go on with: where it dies, the round begins anew")
    learner = Learner(policy, lessons, plan)
    epochs = _Epochs(policy, learner, plan, tell, note)
    with TemporaryDirectory() as folder:
        try:
            _trainer(policy, task_of(lessons, plan), plan, epochs, folder).train()
        except NotFinite as error:
            epochs.broke(error)
    return Fitted(epochs.kept, epochs.stopped, frozen(epochs.curves))


class _Epochs(TrainerCallback):  # type: ignore[misc]
    """What `fit` does around an epoch, and around a step."""

    def __init__(
        self, policy: Policy, learner: Learner, plan: Plan, tell: Tell, note: Note
    ) -> None:
        self.learner, self.curves = learner, Curves()
        self.kept: float = 0
        self.note = note_all(partial(remember, self.curves), note)
        self.stopped: str | None = None
        self._policy, self._plan, self._tell = policy, plan, tell
        self._before, self._done = policy.weights(), 0

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        self._before, self._done = self._policy.weights(), 0
        self._told()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self._done += 1
        self._told()

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if over := over_budget(self.learner, self._plan, self.note):
            self.stopped = f"epoch {self.kept + 1} {over}"
            self.kept = go_back(
                self._policy, self.learner, self._before, self._plan, self.kept, self._tell
            )
            control.should_training_stop = True
        else:
            self.kept += 1

    def broke(self, error: NotFinite) -> None:
        self._policy.restore(self._before)
        self.stopped = unsound(self.kept, error)

    def _told(self) -> None:
        title = f"epoch {self.kept + 1} of {self._plan.epochs}"
        self._tell(title, self._done, self.learner.steps)


class _Order(Sampler[int]):
    """Row by row as our own loop would take them."""

    def __init__(self, learner: Learner, rows: int) -> None:
        self._learner, self._rows = learner, rows

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(self._learner.batches())

    def __len__(self) -> int:
        return self._rows


def _trainer(policy: Policy, task: Task, plan: Plan, epochs: _Epochs, folder: str) -> Any:
    import trl  # takes seconds, and our own loop does without
    from datasets import Dataset

    batch = min(plan.batch_size, len(task.rows))
    config = getattr(trl, f"{task.trainer}Config")(
        folder, **_settings(policy, plan, batch), **task.dials
    )
    config._n_gpu = 1  # else it spreads over all that it sees
    order = _Order(epochs.learner, len(task.rows))
    kind = _fed(getattr(trl, f"{task.trainer}Trainer"), policy, order, epochs.note)
    with policy.lent() as model:
        trainer = kind(
            model,
            args=config,
            train_dataset=Dataset.from_list(task.rows),
            processing_class=_no_words(),
            callbacks=[epochs],
            optimizers=(epochs.learner.optimizer, epochs.learner.warm_up),
        )
        if "ref" in model.peft_config:  # a copy of the parent: what it thinks is in the rows
            model.delete_adapter("ref")
    trainer.precompute_ref_logps = True  # by its setting all weights are hashed, for a cache
    trainer.processing_class = None  # else the model takes over its special tokens
    return trainer


def _fed(kind: Any, policy: Policy, order: _Order, note: Note) -> Any:
    class Fed(kind):  # type: ignore[misc]
        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            """The rows are ids already."""
            return dataset

        def _get_train_sampler(self, *_: Any) -> Any:
            return order

        def _send_telemetry(self) -> None:
            """Nobody is told of a round."""

        def log(self, *_: Any, **__: Any) -> None:
            """The manifest has the curves."""

        def training_step(self, *args: Any, **more: Any) -> Any:
            with policy.lent():
                return super().training_step(*args, **more)

        def compute_loss(self, *args: Any, **more: Any) -> Any:
            loss = super().compute_loss(*args, **more)
            if not isfinite(loss.item()):
                raise NotFinite(f"the loss is {loss.item()}")
            note({"loss": loss.item()})
            return loss

    return Fed


def _settings(policy: Policy, plan: Plan, batch: int) -> dict[str, Any]:
    return {
        "report_to": "none",
        "save_strategy": "no",
        "logging_strategy": "no",
        "disable_tqdm": True,
        "per_device_train_batch_size": batch,
        "num_train_epochs": plan.epochs,
        "max_grad_norm": plan.clip,
        "max_length": None,  # what is too long was shortened, from the left
        "seed": plan.seed,
        "use_cpu": policy.device.type == "cpu",
        "bf16": False,  # the base is in what it is, and a LoRA learns in float32
        "gradient_checkpointing": plan.checkpointing,
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
        "dataloader_pin_memory": False,
    }


def _no_words() -> PreTrainedTokenizerFast:
    """What pads, and makes nothing of a text: there is none."""
    nothing = Tokenizer(models.WordLevel({_PAD: 0}, unk_token=_PAD))
    return PreTrainedTokenizerFast(tokenizer_object=nothing, pad_token=_PAD)
