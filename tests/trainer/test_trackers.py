"""A round as the libraries themselves read it back."""

import json
import logging
import os
import pty
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, current_thread
from typing import Any, NoReturn

import pytest

from tests.trainer.test_past import ended
from tests.trainer.tiny import PLAN
from trainer import trackers
from trainer.settings import Tracker
from trainer.trackers import About, Trackers, require

pytestmark = [
    pytest.mark.integration,  # they take seconds to load
    pytest.mark.filterwarnings("ignore"),  # theirs
]


def tell(folder: Path, name: Tracker) -> list[str]:
    """A round of three steps and a look at the drift; who failed meanwhile."""
    failed: list[str] = []
    about = About("tiny", "base", datetime(2026, 1, 1, tzinfo=UTC), folder, PLAN)
    told = Trackers((name,), about, failed.append)
    for loss in (3.0, 2.0, 1.0):
        told.note({"loss": loss, "sft": 0.5})
    told.note({"kl_parent": 0.25})
    told.ended(ended("gated", 1, "tiny-v1"))
    return failed


def test_tensorboard_has_every_curve_score_gate_and_the_plan(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert tell(tmp_path, "tensorboard") == []
    read = EventAccumulator(str(tmp_path / "tensorboard/tiny/20260101-000000-on-base"))
    read.Reload()
    curve = [(point.step, point.value) for point in read.Scalars("loss")]
    assert curve == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert [(point.step, point.value) for point in read.Scalars("kl_parent")] == [(3, 0.25)]
    assert read.Scalars("gate/end")[0].value == 1
    assert read.Scalars("gate/kl_base")[0].value == 0
    assert read.Scalars("score/length")[0].value == 7
    assert read.Scalars("kl/parent")[0].value == 1.5
    text = read.Tensors("plan/text_summary")[0].tensor_proto.string_val[0].decode()
    assert '"kl_budget_parent": 50.0' in text
    why = read.Tensors("gate/kl_base/text_summary")[0].tensor_proto.string_val[0]
    assert why == b"too far"


def test_mlflow_has_every_curve_score_gate_and_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a server is what people have
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "runs").as_uri())
    assert tell(tmp_path, "mlflow") == []
    client = MlflowClient()
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    [run] = client.search_runs([experiment.experiment_id])
    points = client.get_metric_history(run.info.run_id, "loss")
    assert sorted((point.step, point.value) for point in points) == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert run.data.metrics["kl_parent"] == 0.25
    assert (run.data.metrics["gate/end"], run.data.metrics["gate/kl_base"]) == (1, 0)
    assert run.data.metrics["score/length"] == 7
    assert run.data.params["kl_budget_parent"] == "50.0"
    assert run.data.tags["gate.kl_base"] == "too far"
    assert (run.data.tags["outcome"], run.data.tags["adapter"]) == ("gated", "tiny-v1")
    assert run.info.status == "FINISHED"


def test_wandb_has_every_curve_score_gate_and_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert tell(tmp_path, "wandb") == []
    records = read_wandb(tmp_path)
    ends = time.monotonic() + 60
    while ("exit", {}) not in records and time.monotonic() < ends:
        time.sleep(0.1)  # its service closes the file in its own time, after `finish`
        records = read_wandb(tmp_path)
    history = [record for kind, record in records if kind == "history"]
    losses = [row["loss"] for row in history if "loss" in row]
    assert losses == [3.0, 2.0, 1.0], history
    assert [row["kl_parent"] for row in history if "kl_parent" in row] == [0.25]
    config = {k: v for kind, record in records if kind == "config" for k, v in record.items()}
    assert config["kl_budget_parent"] == 50.0
    summary = {k: v for kind, record in records if kind == "summary" for k, v in record.items()}
    assert (summary["gate/end"], summary["gate/kl_base"]) == (1, 0)
    assert summary["why/kl_base"] == "too far"
    assert summary["outcome"] == "gated"


WITHOUT_A_KEY = """
import logging, sys
from datetime import UTC, datetime
from pathlib import Path
from trainer.past import Ended
from trainer.plan import Plan
from trainer.trackers import About, Trackers
logging.basicConfig()
failed, now = [], datetime.now(UTC)
told = Trackers(("wandb",), About("m", "base", now, Path(sys.argv[1]), Plan()), failed.append)
told.note({"loss": 1.0})
told.ended(Ended(outcome="gated", why="w", parent="base", began_at=now, ended_at=now))
sys.exit(failed != ["wandb"])
"""


def test_wandb_without_a_key_asks_nobody_and_is_left_alone(tmp_path: Path) -> None:
    """On a terminal, where wandb would ask."""
    ours, theirs = pty.openpty()
    env = {name: value for name, value in os.environ.items() if name != "WANDB_API_KEY"}
    env |= {"WANDB_MODE": "online", "HOME": str(tmp_path)}  # no key of whoever runs this
    command = [sys.executable, "-c", WITHOUT_A_KEY, str(tmp_path)]
    ended = subprocess.run(
        command, env=env, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, timeout=60
    )
    os.close(ours)
    os.close(theirs)
    said = ended.stderr.decode()
    assert ended.returncode == 0, said
    assert "no API key; expected WANDB_API_KEY, or WANDB_MODE=offline" in said


def test_a_tracker_that_fails_is_warned_of_once_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "tensorboard").write_text("no folder")
    caplog.set_level(logging.WARNING)
    assert tell(tmp_path, "tensorboard") == ["tensorboard"]
    [warned] = [message for message in caplog.messages if "tensorboard" in message]
    assert warned.startswith("tensorboard is told no more of this round: ")


class Slow:
    def __init__(self, about: About) -> None:
        time.sleep(30)

    def points(self, values: object, at: int) -> None: ...
    def ended(self, ended: object) -> None: ...


def test_a_tracker_that_hangs_holds_no_round_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(trackers._KINDS, "mlflow", Slow)
    monkeypatch.setattr(trackers, "PATIENCE_SECONDS", 0.1)
    began = time.monotonic()
    assert tell(tmp_path, "mlflow") == ["mlflow"]
    assert time.monotonic() - began < 5


def test_a_tracker_that_hangs_and_then_fails_is_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gives_up, threads = Event(), []

    def hang(about: About) -> NoReturn:
        threads.append(current_thread())
        gives_up.wait(30)
        raise OSError("nobody answers")

    monkeypatch.setitem(trackers._KINDS, "mlflow", hang)
    monkeypatch.setattr(trackers, "PATIENCE_SECONDS", 0.1)
    failed = tell(tmp_path, "mlflow")
    gives_up.set()
    threads[0].join(30)
    assert (failed, len(caplog.messages)) == (["mlflow"], 1)


def test_one_that_is_not_installed_is_told_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require(("tensorboard", "mlflow", "wandb"))
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="names mlflow, which is not installed; expected: pip in"):
        require(("mlflow",))


def read_wandb(folder: Path) -> list[tuple[str, dict[str, object]]]:
    """What the one offline run holds, in wandb's own words; it brings no reader for Python."""
    from wandb.proto import wandb_internal_pb2

    [path] = folder.glob("wandb/offline-run-*/*.wandb")
    found = []
    for raw in framed(path.read_bytes()):
        record = wandb_internal_pb2.Record()  # type: ignore[attr-defined]
        record.ParseFromString(raw)
        found += [("history", items(record.history.item))] if record.HasField("history") else []
        found += [("config", items(record.config.update))] if record.HasField("config") else []
        found += [("config", items(record.run.config.update))] if record.HasField("run") else []
        found += [("summary", items(record.summary.update))] if record.HasField("summary") else []
        found += [("exit", {})] if record.HasField("exit") else []
    return found


def framed(data: bytes) -> Iterator[bytes]:
    """LevelDB's log format: blocks of 32 KiB; checksum, length and kind before each piece."""
    at, whole = 7, b""  # behind its own header
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:  # the rest of a block that no header fits in
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # all of it, or its last piece
            yield whole
            whole = b""


def items(pairs: Any) -> dict[str, object]:
    return {pair.key or "/".join(pair.nested_key): json.loads(pair.value_json) for pair in pairs}
