"""The mark beside an adapter."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.trainer.test_adapters import make
from trainer.adapters import (
    AdapterError,
    UnknownAdapter,
    bring_back,
    claim,
    mark_of,
    published,
    read_mark,
    verify,
    withdraw,
)
from trainer.withdrawal import Withdrawal

FORMATS = (Path(__file__).parents[2] / "docs/formats.md").read_text()


def test_a_mark_says_who_withdrew_it_when_and_why(tmp_path: Path) -> None:
    made = make(tmp_path)
    withdraw(tmp_path, "model-v1", "it was rude", "ann")
    mark = Withdrawal.model_validate_json((tmp_path / mark_of("model-v1")).read_bytes())
    assert (mark.reason, mark.by) == ("it was rude", "ann")
    assert abs((datetime.now(UTC) - mark.at).total_seconds()) < 60
    assert (
        read_mark(mark.model_dump_json().encode()) == f"it was rude (ann, {mark.at:%F %H:%M} UTC)"
    )
    assert [path.name for path in tmp_path.glob("*.tmp")] == []
    assert verify(tmp_path, "model-v1") == made  # it never changes


def test_a_mark_is_no_adapter_and_takes_no_number(tmp_path: Path) -> None:
    made = make(tmp_path)
    withdraw(tmp_path, "model-v1", "it was rude", "ann")
    assert published(tmp_path) == [made]
    assert claim(tmp_path, "model").name == "model-v2"


def test_who_is_brought_back_has_no_mark_and_may_be_brought_back_again(tmp_path: Path) -> None:
    make(tmp_path)
    withdraw(tmp_path, "model-v1", "it was rude", "ann")
    for _ in range(2):
        bring_back(tmp_path, "model-v1")
        assert not (tmp_path / mark_of("model-v1")).exists()


@pytest.mark.parametrize("name", ["model-v2", "../model-v1", "base"])
def test_only_what_is_published_is_marked(tmp_path: Path, name: str) -> None:
    make(tmp_path / "store")
    with pytest.raises(UnknownAdapter) as refused:
        withdraw(tmp_path / "store", name, "so", "ann")
    assert isinstance(refused.value, AdapterError)
    assert len(list(tmp_path.rglob("*.json"))) == 1  # the manifest


GOOD = {"v": 1, "at": "2026-11-21T10:00:00+01:00", "reason": "it was rude", "by": "ann"}


@pytest.mark.parametrize(
    ("mark", "told"),
    [
        (GOOD, r"it was rude \(ann, 2026-11-21 09:00 UTC\)"),
        (GOOD | {"v": 2}, r"its mark cannot be read: v: this version reads v 1 \(got 2\)"),
        (GOOD | {"reason": ""}, "its mark cannot be read: reason: "),
        (GOOD | {"mood": "bad"}, "its mark cannot be read: mood: "),
        ([], "its mark cannot be read: "),
    ],
)
def test_a_mark_that_cannot_be_read_is_a_reason_too(mark: object, told: str) -> None:
    assert re.match(told, read_mark(json.dumps(mark).encode()))


def test_the_example_in_the_docs_is_what_would_be_written() -> None:
    (example,) = re.findall(r"^```json\n(.*?)^```$", FORMATS, re.MULTILINE | re.DOTALL)
    mark = Withdrawal.model_validate_json(example)
    assert json.loads(mark.model_dump_json()) == json.loads(example)
