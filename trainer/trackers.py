"""The only file that talks to TensorBoard, MLflow and W&B. Each is loaded when it is asked for.

None of them can end a round, or hold it up: each is told in a thread of its own, and left alone
after its first failure.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import NamedTuple, Protocol

from trainer.past import Ended
from trainer.plan import Plan
from trainer.settings import Tracker as Name

PATIENCE_SECONDS = 60.0  # for what a tracker has not sent when the round is over
_PACKAGES: dict[Name, str] = {
    "tensorboard": "tensorboard",
    "mlflow": "mlflow-skinny",
    "wandb": "wandb",
}
_log = logging.getLogger("trainer")


class About(NamedTuple):
    """What is known of a round before it begins."""

    series: str
    parent: str
    began: datetime
    folder: Path
    plan: Plan

    @property
    def title(self) -> str:
        return f"{self.began:%Y%m%d-%H%M%S}-on-{self.parent}"

    @property
    def settings(self) -> dict[str, object]:
        return {"parent": self.parent, **self.plan.model_dump(mode="json")}


class Tracker(Protocol):
    def points(self, values: Mapping[str, float], at: int) -> None: ...
    def ended(self, ended: Ended) -> None: ...


class TensorBoard:
    """In `tensorboard/` of the state folder."""

    def __init__(self, about: About) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = about.folder / "tensorboard" / about.series / about.title
        self._writer = SummaryWriter(str(folder))
        self._text("plan", f"```\n{json.dumps(about.settings, indent=2)}\n```")

    def points(self, values: Mapping[str, float], at: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, at)
        self._writer.flush()

    def ended(self, ended: Ended) -> None:
        self.points(_numbers(ended), 0)
        self._text("ending", str(ended))
        for gate in ended.gates:
            self._text(f"gate/{gate.name}", gate.reason)
        self._writer.close()

    def _text(self, name: str, text: str) -> None:
        self._writer.add_text(name, text)


class MLflow:
    """Where MLFLOW_TRACKING_URI says; the experiment is named as the adapters are."""

    def __init__(self, about: About) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param

        self._client, self._metric = MlflowClient(), Metric
        found = self._client.get_experiment_by_name(about.series)
        where = found.experiment_id if found else self._client.create_experiment(about.series)
        self._run = self._client.create_run(where, run_name=about.title).info.run_id
        params = [Param(name, str(value)[:6000]) for name, value in about.settings.items()]
        self._client.log_batch(self._run, params=params)

    def points(self, values: Mapping[str, float], at: int) -> None:
        now = int(time.time() * 1000)
        points = [self._metric(name, value, now, at) for name, value in values.items()]
        self._client.log_batch(self._run, metrics=points)

    def ended(self, ended: Ended) -> None:
        self.points(_numbers(ended), 0)
        told = {"outcome": ended.outcome, "why": ended.why, "adapter": ended.adapter or "none"}
        for name, text in (told | {f"gate.{g.name}": g.reason for g in ended.gates}).items():
            self._client.set_tag(self._run, name, text[:5000])
        self._client.set_terminated(self._run, "FINISHED" if ended.adapter else "FAILED")


class WandB:
    """Where WANDB_… says; the project is named as the adapters are."""

    def __init__(self, about: About) -> None:
        import wandb

        # Without a key, it would ask for one on the terminal and wait.
        if wandb.setup().settings.mode == "online" and not wandb.login(prompt=False):
            raise ValueError("no API key; expected WANDB_API_KEY, or WANDB_MODE=offline")
        self._run = wandb.init(
            project=about.series,
            name=about.title,
            config=about.settings,
            dir=str(about.folder),
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off"),
        )

    def points(self, values: Mapping[str, float], at: int) -> None:
        self._run.log(dict(values), step=at)

    def ended(self, ended: Ended) -> None:
        told = {"outcome": ended.outcome, "why": ended.why, "adapter": ended.adapter}
        reasons = {f"why/{gate.name}": gate.reason for gate in ended.gates}
        self._run.summary.update(told | _numbers(ended) | reasons)
        self._run.finish(exit_code=0 if ended.adapter else 1)


_KINDS: dict[Name, Callable[[About], Tracker]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "wandb": WandB,
}


class Trackers:
    """They hear of a round with its first step: one that never learned is nothing to look at."""

    def __init__(self, names: Sequence[Name], about: About, failed: Callable[[str], None]) -> None:
        self._names, self._about, self._failed = names, about, failed
        self._told: list[_Told] | None = None
        self._steps = 0

    def note(self, values: Mapping[str, float]) -> None:
        if self._told is None:
            self._told = [_Told(name, self._about, self._failed) for name in self._names]
        self._steps += "loss" in values  # what else is measured belongs to the step before
        for one in self._told:
            one.points(values, self._steps)

    def ended(self, ended: Ended) -> None:
        for one in self._told or ():
            one.ended(ended)


class _Told:
    """One tracker, and its thread."""

    def __init__(self, name: Name, about: About, failed: Callable[[str], None]) -> None:
        self._name, self._failed = name, failed
        self._news: SimpleQueue[Callable[[Tracker], None]] = SimpleQueue()
        self._done = self._left_alone = False
        self._thread = Thread(target=self._tell, args=(about,), daemon=True)
        self._thread.start()

    def points(self, values: Mapping[str, float], at: int) -> None:
        self._news.put(lambda tracker: tracker.points(values, at))

    def ended(self, ended: Ended) -> None:
        def end(tracker: Tracker) -> None:
            tracker.ended(ended)
            self._done = True

        self._news.put(end)
        self._thread.join(PATIENCE_SECONDS)
        if self._thread.is_alive():
            self._fail(f"it did not take all within {PATIENCE_SECONDS:.0f} s")

    def _tell(self, about: About) -> None:
        try:
            tracker = _KINDS[self._name](about)
            while not self._done:
                self._news.get()(tracker)
        except Exception as error:
            self._fail(str(error) or type(error).__name__)

    def _fail(self, why: str) -> None:
        if self._left_alone:
            return  # whoever hung may fail as well, later
        self._left_alone = True
        _log.warning("%s is told no more of this round: %s", self._name, why)
        self._failed(self._name)


def require(names: Sequence[Name]) -> None:
    for name in names:
        if find_spec(name) is None:
            raise ValueError(
                f"trainer_report_to names {name}, which is not installed; "
                f"expected: pip install {_PACKAGES[name]}"
            )


def _numbers(ended: Ended) -> dict[str, float]:
    return {
        "seconds": ended.seconds,
        **{f"score/{name}": value for name, value in ended.scores.items()},
        **{f"gate/{gate.name}": float(gate.passed) for gate in ended.gates},
        **{f"kl/{reference}": kl.value for reference, kl in ended.kl.items()},
    }
