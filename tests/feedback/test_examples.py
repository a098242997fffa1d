"""The examples folder, read by position."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from feedback import examples
from feedback.events import Completion
from feedback.examples import SCHEMA, BadExamples, Example
from tests.feedback.made import completion, settled, thumb
from tests.feedback.test_events import completions


def row(name: str, up: bool = True, second: float = 1) -> Example:
    (only,) = settled(completion(name), thumb(up, second, of=name))
    return only._replace(offset=int(second))


def place(completions: int, verdicts: int) -> examples.Watermark:
    return {"completions/0": completions, "verdicts/0": verdicts}


def test_rows_come_back_as_they_went_in(tmp_path: Path) -> None:
    examples.append(tmp_path, place(0, 0), place(2, 2), [row("a"), row("b", False)])
    found = examples.read(tmp_path)
    assert found.examples == [row("a"), row("b", False)]
    assert found.watermark == place(2, 2)


def test_reading_after_a_watermark_gives_only_what_is_beyond_it(tmp_path: Path) -> None:
    examples.append(tmp_path, place(0, 0), place(2, 2), [row("a")])
    examples.append(tmp_path, place(2, 2), place(3, 5), [row("b")])
    assert [r.completion_id for r in examples.read(tmp_path, place(2, 2)).examples] == ["b"]
    later = examples.read(tmp_path, place(3, 5))
    assert later.examples == []
    assert later.watermark == place(3, 5)


def test_files_are_in_the_order_of_the_log(tmp_path: Path) -> None:
    for end in (5, 900, 77, 10_000):
        examples.append(tmp_path, place(0, 0), place(end, end), [row("a")])
    ends = [batch.end["verdicts/0"] for batch in examples.batches(tmp_path)]
    assert ends == [5, 77, 900, 10_000]
    assert examples.start(examples.batches(tmp_path)[0]) == place(0, 0)


def test_the_newest_row_of_an_identity_holds_and_takes_its_new_place(tmp_path: Path) -> None:
    examples.append(tmp_path, place(0, 0), place(2, 2), [row("a"), row("b")])
    examples.append(tmp_path, place(2, 2), place(2, 3), [row("a", False, 2)])
    found = examples.read(tmp_path).examples
    assert [(r.completion_id, r.up) for r in found] == [("b", True), ("a", False)]


def test_the_digest_names_the_rows(tmp_path: Path) -> None:
    assert examples.digest([row("a")]) == examples.digest([row("a")])
    assert examples.digest([row("a")]) != examples.digest([row("a", False)])


@settings(max_examples=30, deadline=None)  # each example is a file
@given(completions())
def test_whatever_the_log_may_hold_an_example_can(served: Completion) -> None:
    rows = settled(served, thumb(True, of=served.id).model_copy(update={"at": served.at}))
    with TemporaryDirectory() as folder:
        examples.append(Path(folder), place(0, 0), place(1, 1), rows)
        assert examples.read(Path(folder)).examples == rows


V1 = {"v": "1", "start": "{}"}


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        (SCHEMA, "v is none; this version reads v 1"),
        (SCHEMA.with_metadata(V1 | {"v": "2"}), "v is 2; this version reads v 1"),
        (SCHEMA.remove(32).with_metadata(V1), "column 32 is none; expected offset int64"),
        (
            SCHEMA.set(12, pa.field("parameters", pa.int64())).with_metadata(V1),
            "column 12 is parameters int64; expected parameters string",
        ),
        (
            SCHEMA.append(pa.field("mood", pa.string())).with_metadata(V1),
            "column 33 is mood string; expected none",
        ),
    ],
)
def test_a_file_of_another_schema_is_refused_by_name(
    tmp_path: Path, schema: pa.Schema, complaint: str
) -> None:
    path = tmp_path / "0000-000000000002-000000000002.parquet"
    pq.write_table(schema.empty_table(), path)
    (batch,) = examples.batches(tmp_path)
    for read in (examples.rows, examples.start):
        with pytest.raises(BadExamples, match=f"{path}: {complaint}"):
            read(batch)
    with pytest.raises(BadExamples, match=complaint):
        examples.read(tmp_path)


def test_a_file_that_is_no_parquet_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "0000-000000000002-000000000002.parquet"
    path.write_bytes(b"none")
    with pytest.raises(BadExamples, match=f"{path}: .*[Pp]arquet"):
        examples.read(tmp_path)


def test_an_absent_folder_is_empty(tmp_path: Path) -> None:
    assert examples.read(tmp_path / "none").examples == []


def test_users_are_taken_out_and_the_file_is_as_old_as_before(tmp_path: Path) -> None:
    rows = [row("a"), row("b"), row("c")._replace(user="bob"), row("d")._replace(rater="bob")]
    path = examples.append(tmp_path, place(1, 1), place(4, 4), rows)
    os.utime(path, (1000, 1000))
    (batch,) = examples.batches(tmp_path)
    assert examples.without(batch, {"bob"}) == 2
    assert [one.completion_id for one in examples.rows(batch)] == ["a", "b"]
    assert examples.start(batch) == place(1, 1)
    assert path.stat().st_mtime == 1000
    before = path.read_bytes()
    assert examples.without(batch, {"bob"}) == 0
    assert path.read_bytes() == before


def test_files_go_when_they_are_too_old(tmp_path: Path) -> None:
    old, young = (examples.append(tmp_path, place(0, 0), place(n, n), [row("a")]) for n in (1, 2))
    os.utime(old, (time() - 31 * 86_400,) * 2)
    os.utime(young, (time() - 29 * 86_400,) * 2)
    assert examples.expire(tmp_path, 30) == 1
    assert [batch.path for batch in examples.batches(tmp_path)] == [young]


def test_some_columns_are_read_without_the_rest(tmp_path: Path) -> None:
    examples.append(tmp_path, place(0, 0), place(1, 1), [row("a")])
    (batch,) = examples.batches(tmp_path)
    assert examples.some(batch, ["up", "rater"]) == [{"up": True, "rater": "ann"}]


def test_a_file_of_nobody_else_goes_whole(tmp_path: Path) -> None:
    examples.append(tmp_path, place(0, 0), place(1, 1), [row("a")])
    (batch,) = examples.batches(tmp_path)
    assert examples.without(batch, {"ann"}) == 1
    assert list(tmp_path.iterdir()) == []
