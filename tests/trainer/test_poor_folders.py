"""Examples that nothing can be learned from: a clear message and exit code, and no adapter."""

from collections.abc import Iterator
from contextlib import closing
from math import isfinite, nan
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from feedback.examples import append
from feedback.log import open_log
from tests.trainer.test_main import environment
from tests.trainer.tiny import PLAN, example, settle
from trainer.__main__ import once
from trainer.adapters import verify
from trainer.lora_files import WEIGHTS
from trainer.parent import SplitReader
from trainer.plan import Plan
from trainer.run import Places
from trainer.settings import Settings

TINY = PLAN.model_copy(update={"min_rows": 2, "min_holdout": 0, "holdout_percent": 0.0})


class Trainer:
    def __init__(self, settings: Settings, split: SplitReader) -> None:
        self.settings, self.split = settings, split

    def once(self, plan: Plan = PLAN) -> int:
        return once(self.settings, plan, self.split)

    def settle(self, count: int, **changes: Any) -> None:
        rows = [example(n, **{"prompt_ids": [5, 6, 7 + n]} | changes) for n in range(count)]
        settle(self.settings.examples, rows, start=0, end=count)


@pytest.fixture
def trainer(
    places: Places, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[Trainer]:
    caplog.set_level("INFO")
    for name, value in environment(places).items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    with closing(open_log(settings.log)) as log:
        yield Trainer(settings, SplitReader(log, "tiny"))


def told(trainer: Trainer, caplog: pytest.LogCaptureFixture, what: str) -> None:
    assert what in caplog.text
    assert "Traceback" not in caplog.text
    assert not trainer.settings.adapters.exists()


def test_without_a_folder(trainer: Trainer, caplog: pytest.LogCaptureFixture) -> None:
    assert trainer.once() == 4
    told(trainer, caplog, "too_few: no adapter, 0 rows to train on; expected 16")


def test_an_empty_folder(trainer: Trainer, caplog: pytest.LogCaptureFixture) -> None:
    trainer.settings.examples.mkdir()
    assert trainer.once() == 4
    told(trainer, caplog, "0 rows to train on; expected 16")


def test_a_file_without_rows(trainer: Trainer, caplog: pytest.LogCaptureFixture) -> None:
    append(trainer.settings.examples, {}, {"completions/0": 5, "verdicts/0": 5}, [])
    assert trainer.once() == 4
    told(trainer, caplog, "0 rows to train on; expected 16")


@pytest.mark.parametrize(("up", "why"), [(True, " and 0 downs held out"), (False, ", 0 ups and ")])
def test_thumbs_of_one_kind(
    trainer: Trainer, up: bool, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    trainer.settle(96, up=up)
    assert trainer.once() == 4
    told(trainer, caplog, why)
    told(trainer, caplog, "expected 3 of each")


def test_a_tiny_folder(trainer: Trainer, caplog: pytest.LogCaptureFixture) -> None:
    trainer.settle(3)
    assert trainer.once() == 4
    told(trainer, caplog, "rows to train on; expected 16")


def test_nothing_but_duplicates(trainer: Trainer, caplog: pytest.LogCaptureFixture) -> None:
    trainer.settle(96, prompt_ids=[5, 6, 7])
    assert trainer.once() == 4
    told(trainer, caplog, "rows to train on, but only 1 different; expected 16 different")


@pytest.mark.parametrize("kept", [0, 4, 200, -9, -1000])
def test_a_file_cut_short(trainer: Trainer, kept: int, caplog: pytest.LogCaptureFixture) -> None:
    trainer.settle(96)
    (path,) = trainer.settings.examples.iterdir()
    path.write_bytes(path.read_bytes()[:kept])
    assert trainer.once() == 5
    told(trainer, caplog, f"the round failed: {path}: ")


@pytest.mark.parametrize("at", [5, 400, 2000])
def test_a_file_with_bytes_that_changed(
    trainer: Trainer, at: int, caplog: pytest.LogCaptureFixture
) -> None:
    trainer.settle(96)
    (path,) = trainer.settings.examples.iterdir()
    raw = path.read_bytes()
    path.write_bytes(raw[:at] + b"\xff" * 64 + raw[at + 64 :])
    assert trainer.once() == 5
    told(trainer, caplog, f"the round failed: {path}: ")


@pytest.mark.integration
@pytest.mark.parametrize(
    ("count", "changes"),
    [
        (2, {}),
        (2, {"up": False}),
        (40, {"up": True}),
        (40, {"up": False}),
        (3, {"answer_ids": [1], "logprobs": [-1e9]}),
        (40, {"weight": 1e-30}),
    ],
)
def test_a_plan_that_asks_for_little_makes_no_adapter_of_nan(
    trainer: Trainer, count: int, changes: dict[str, Any]
) -> None:
    trainer.settle(count, **changes)
    assert trainer.once(TINY) in (0, 3)
    made = verify(trainer.settings.adapters, "tiny-v1")
    weights = load_file(trainer.settings.adapters / "tiny-v1" / WEIGHTS)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights.values())
    assert all(isfinite(value) for curve in made.curves.values() for value in curve)


@pytest.mark.integration
@pytest.mark.parametrize("at", [0, 1])
def test_log_probabilities_that_are_no_numbers_are_computed_anew(trainer: Trainer, at: int) -> None:
    logged = [-1.0, -2.0, -3.0]
    logged[at] = nan
    trainer.settle(40, logprobs=logged)
    assert trainer.once(TINY) in (0, 3)
    made = verify(trainer.settings.adapters, "tiny-v1")
    assert all(map(isfinite, made.curves["loss"]))
