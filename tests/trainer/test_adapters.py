import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from trainer.adapters import (
    LINEAGE,
    MANIFEST,
    AdapterError,
    CorruptAdapter,
    GateResult,
    Lesson,
    Manifest,
    NameTaken,
    UnknownAdapter,
    claim,
    claim_name,
    load,
    publish,
    published,
    read_lineage,
    verify,
    write_lineage,
)


def manifest(name: str, *gates: GateResult) -> Manifest:
    return Manifest(
        name=name,
        parent="base",
        base="model",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        plan={"beta": 0.1},
        watermark={"verdicts/0": 7},
        dataset_digest="d",
        counts={"train": 3},
        gates=gates,
        kl={},
        curves={},
        scores={},
        libraries={},
        seconds=1.5,
    )


def make(store: Path) -> Manifest:
    folder = claim(store, "model")
    (folder / "weights").write_bytes(b"abc")
    return publish(folder, manifest(folder.name))


def test_what_is_published_is_loaded_and_verified(tmp_path: Path) -> None:
    made = make(tmp_path)
    assert made.files.keys() == {"weights"}
    assert load(tmp_path, "model-v1") == made == verify(tmp_path, "model-v1")


def test_a_name_is_never_used_twice(tmp_path: Path) -> None:
    make(tmp_path)
    with pytest.raises(NameTaken, match="model-v1"):
        claim_name(tmp_path, "model-v1")
    with pytest.raises(NameTaken, match="published already"):
        publish(tmp_path / "model-v1", manifest("model-v1"))
    assert claim(tmp_path, "model").name == "model-v2"


def test_a_claimed_name_is_spent_even_without_a_manifest(tmp_path: Path) -> None:
    claim(tmp_path, "model")
    assert claim(tmp_path, "model").name == "model-v2"
    assert published(tmp_path) == []


@pytest.mark.parametrize("name", ["model", "../model-v1", "model-v", "model-v1/x", ""])
def test_a_name_that_is_no_adapters_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(AdapterError, match="expected NAME-vNUMBER"):
        claim_name(tmp_path, name)
    with pytest.raises(UnknownAdapter):
        load(tmp_path, name)


@pytest.mark.parametrize("harm", ["changed", "gone"])
def test_a_changed_file_is_corrupt(tmp_path: Path, harm: str) -> None:
    make(tmp_path)
    weights = tmp_path / "model-v1" / "weights"
    weights.write_bytes(b"abd") if harm == "changed" else weights.unlink()
    with pytest.raises(CorruptAdapter, match="model-v1/weights"):
        verify(tmp_path, "model-v1")


def test_a_manifest_that_cannot_be_read_is_corrupt_and_not_listed(tmp_path: Path) -> None:
    make(tmp_path)
    make(tmp_path)
    (tmp_path / "model-v1" / MANIFEST).write_text('{"v": 2}')
    with pytest.raises(CorruptAdapter):
        load(tmp_path, "model-v1")
    assert [found.name for found in published(tmp_path)] == ["model-v2"]


@pytest.mark.parametrize(
    ("v", "complaint"),
    [
        (True, r"v: this version reads v 1 \(got True\)"),
        (1.0, r"v: this version reads v 1 \(got 1.0\)"),
        (2, r"v: this version reads v 1 \(got 2\)"),
        (None, "v is missing; this version reads v 1"),
    ],
)
def test_a_manifest_of_another_version_is_refused(
    tmp_path: Path, v: object, complaint: str
) -> None:
    make(tmp_path)
    path = tmp_path / "model-v1" / MANIFEST
    told = json.loads(path.read_text()) | {"v": v}
    path.write_text(json.dumps({name: value for name, value in told.items() if value is not None}))
    with pytest.raises(CorruptAdapter, match=f"{path}: {complaint}"):
        load(tmp_path, "model-v1")


def test_each_manifest_that_cannot_be_read_is_said_to_be_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        make(tmp_path)
    bad = [tmp_path / f"model-v{number}" / MANIFEST for number in (1, 2)]
    for path in bad:
        path.write_text("{")
    for _ in range(3):
        assert [found.name for found in published(tmp_path)] == ["model-v3"]
    warnings = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert len(warnings) == 2
    assert all(any(str(path) in said for said in warnings) for path in bad)


def test_a_folder_under_another_name_is_corrupt(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "model-v1").rename(tmp_path / "model-v9")
    with pytest.raises(CorruptAdapter, match="manifest of model-v1"):
        load(tmp_path, "model-v9")


def test_adapters_are_listed_by_version_not_by_name(tmp_path: Path) -> None:
    for _ in range(11):
        make(tmp_path)
    assert [found.version for found in published(tmp_path)] == list(range(1, 12))


def test_only_an_adapter_with_gates_can_have_passed(tmp_path: Path) -> None:
    good, bad = (GateResult(name="g", passed=passed, reason="r") for passed in (True, False))
    assert not manifest("model-v1").passed
    assert manifest("model-v1", good).passed
    assert not manifest("model-v1", good, bad).passed


def test_lineage_comes_back_as_written(tmp_path: Path) -> None:
    folder = claim(tmp_path, "model")
    lessons = [Lesson("c1", "ann", "train"), Lesson("c2", "bob", "holdout")]
    write_lineage(folder, lessons)
    assert read_lineage(tmp_path, "model-v1") == lessons
    assert read_lineage(tmp_path, "model-v2") == []


GOOD = {"completion_id": "c1", "user": "ann", "use": "train"}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (json.dumps(GOOD | {"use": "test"}), r"use: Input should be 'train', .* \(got 'test'\)"),
        (json.dumps(GOOD | {"user": 7}), r"user: Input should be a valid string \(got 7\)"),
        (json.dumps(GOOD | {"user": ""}), "user: String should have at least 1 character"),
        (json.dumps(GOOD | {"mood": "good"}), "mood: "),
        (json.dumps({"completion_id": "c1", "use": "train"}), "user: Field required"),
        (json.dumps(["c1", "ann", "train"]), ""),
        ("{", "Invalid JSON"),
        ("", "Invalid JSON"),
    ],
)
def test_a_line_of_lineage_that_cannot_be_read_is_corrupt(
    tmp_path: Path, line: str, complaint: str
) -> None:
    path = claim(tmp_path, "model") / LINEAGE
    path.write_text(f"{json.dumps(GOOD)}\n{line}\n")
    with pytest.raises(CorruptAdapter, match=f"{path}, line 2: {complaint}"):
        read_lineage(tmp_path, "model-v1")


def test_a_crash_while_publishing_leaves_no_half_adapter(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from tests.trainer.test_adapters import claim, manifest, publish
os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
folder = claim(Path(sys.argv[1]), "model")
publish(folder, manifest(folder.name))
"""
    died = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], env={**os.environ, "PYTHONPATH": "."}
    )
    assert died.returncode == -signal.SIGKILL
    assert published(tmp_path) == []
    with pytest.raises(UnknownAdapter):
        verify(tmp_path, "model-v1")
