"""Examples as rows for TRL: each is in a row or has a reason. test_readers.py reads the files."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback import examples
from feedback.events import Completion, Verdict
from feedback.examples import BadExamples, Example
from feedback.export import Form, Report, export
from feedback.trl_rows import sift
from tests.feedback.made import (
    comparison,
    completion,
    correction,
    outcome,
    retraction,
    settled,
    thumb,
)

ASKED = [{"role": "user", "content": "question g"}]
UNUSED = "a thumb with no opposite on another answer"


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def example(*events: Completion | Verdict) -> Example:
    """What they settle last, of two answers to one request."""
    row = settled(completion("g"), completion("g.1"), *events)[-1]
    return row._replace(messages=json.dumps(ASKED))


def write(folder: Path, rows: list[Example], end: int = 1) -> Path:
    place = {"completions/0": end, "verdicts/0": end}
    examples.append(folder, place, place, rows)
    return folder


def exported(
    folder: Path, rows: list[Example], form: Form, min_weight: float = 0.0
) -> tuple[Report, list[dict[str, Any]]]:
    out = folder / "out.jsonl"
    report = export(write(folder / "examples", rows), form, out, min_weight=min_weight)
    return report, [json.loads(line) for line in out.read_bytes().splitlines()]


LIKED = example(thumb(True, of="g"))
DISLIKED = example(thumb(False, of="g"))
OTHER_LIKED = example(thumb(True, of="g.1"))
OTHER_DISLIKED = example(thumb(False, of="g.1"))
A_WINS = example(comparison("g", "g.1", "a"))
B_WINS = example(comparison("g", "g.1", "b"))
CORRECTED = example(correction("better", of="g"))
MEASURED = example(outcome("resolved", 1, of="g"))

KTO = {"prompt": ASKED, "completion": said("answer g")}
A_OVER_B = {"prompt": ASKED, "chosen": said("answer g"), "rejected": said("answer g.1")}
B_OVER_A = {"prompt": ASKED, "chosen": said("answer g.1"), "rejected": said("answer g")}
CORRECTION = {"prompt": ASKED, "chosen": said("better"), "rejected": said("answer g")}


@pytest.mark.parametrize(
    ("form", "rows", "expected"),
    [
        (Form.KTO, [LIKED], [KTO | {"label": True}]),
        (Form.KTO, [DISLIKED], [KTO | {"label": False}]),
        (Form.KTO, [LIKED._replace(finish_reason="length")], [KTO | {"label": True}]),
        (Form.DPO, [A_WINS], [A_OVER_B]),
        (Form.DPO, [B_WINS], [B_OVER_A]),
        (Form.DPO, [CORRECTED], [CORRECTION]),
        (Form.DPO, [LIKED, OTHER_DISLIKED], [A_OVER_B]),
        (Form.DPO, [DISLIKED, OTHER_LIKED], [B_OVER_A]),
        (Form.DPO, [CORRECTED, LIKED, OTHER_DISLIKED], [CORRECTION, A_OVER_B]),
        (Form.SFT, [LIKED], [KTO]),
        (Form.SFT, [CORRECTED], [{"prompt": ASKED, "completion": said("better")}]),
    ],
)
def test_an_example_becomes_its_row(
    tmp_path: Path, form: Form, rows: list[Example], expected: list[dict[str, Any]]
) -> None:
    report, found = exported(tmp_path, rows, form)
    assert found == expected
    assert report == Report(rows=len(expected), used=len(rows), dropped={})


LEFT_OUT = [
    (Form.KTO, A_WINS, "not a thumb"),
    (Form.KTO, LIKED._replace(weight=0.0), "quarantined"),
    (Form.KTO, LIKED._replace(parameters='{"n":1,"store":false}'), "withheld"),
    (Form.KTO, LIKED._replace(weight=0.4), "below the least weight"),
    (Form.KTO, LIKED._replace(messages="[]"), "no messages with roles"),
    (Form.KTO, LIKED._replace(messages='[{"content": "x"}]'), "no messages with roles"),
    (Form.KTO, DISLIKED._replace(answer=""), "empty answer"),
    (Form.KTO, LIKED._replace(finish_reason="tool_calls"), "a tool call"),
    (Form.DPO, A_WINS._replace(weight=0.0), "quarantined"),
    (Form.DPO, example(comparison("g", "g.1", "tie")), "no winner: tie"),
    (Form.DPO, example(comparison("g", "g.1", "both_bad")), "no winner: both bad"),
    (Form.DPO, A_WINS._replace(rival_answer=""), "empty answer"),
    (Form.DPO, B_WINS._replace(answer=""), "empty answer"),
    (Form.DPO, A_WINS._replace(rival_answer="answer g"), "chosen and rejected are the same"),
    (Form.DPO, CORRECTED._replace(correction="answer g"), "chosen and rejected are the same"),
    (Form.DPO, CORRECTED._replace(answer=""), "empty answer"),
    (Form.DPO, MEASURED, "neither a thumb, a comparison nor a correction"),
    (Form.DPO, LIKED, UNUSED),
    (Form.DPO, LIKED._replace(answer=""), "empty answer"),
    (Form.SFT, DISLIKED, "not liked"),
    (Form.SFT, A_WINS, "neither a thumb nor a correction"),
    (Form.SFT, LIKED._replace(finish_reason="length"), "cut off"),
    (Form.SFT, LIKED._replace(finish_reason=None), "cut off"),
    (Form.SFT, LIKED._replace(finish_reason="tool_calls"), "a tool call"),
    (Form.SFT, CORRECTED._replace(weight=0.0), "quarantined"),
]


@pytest.mark.parametrize(("form", "row", "why"), LEFT_OUT)
def test_what_is_left_out_is_counted_with_its_reason(
    tmp_path: Path, form: Form, row: Example, why: str
) -> None:
    report, found = exported(tmp_path, [row], form, min_weight=0.5)
    assert (report, found) == (Report(rows=0, used=0, dropped={why: 1}), [])


def test_an_example_of_just_the_least_weight_stays(tmp_path: Path) -> None:
    report, _ = exported(tmp_path, [LIKED._replace(weight=0.5)], Form.KTO, min_weight=0.5)
    assert report.rows == 1


def test_a_correction_is_no_thumb_down(tmp_path: Path) -> None:
    report, found = exported(tmp_path, [CORRECTED, OTHER_LIKED], Form.DPO)
    assert (report, found) == (Report(rows=1, used=1, dropped={UNUSED: 1}), [CORRECTION])


def test_a_correction_of_an_answer_that_was_cut_off_is_whole(tmp_path: Path) -> None:
    report, _ = exported(tmp_path, [CORRECTED._replace(finish_reason="length")], Form.SFT)
    assert report.rows == 1


@pytest.mark.parametrize(
    "other",
    [
        example(completion("h"), thumb(False, of="h")),  # of another request
        example(thumb(False, of="g.1", user="bob")),  # of another person
        OTHER_DISLIKED._replace(messages='[{"role": "user", "content": "else"}]'),
        OTHER_DISLIKED._replace(answer="answer g"),  # the same text
    ],
)
def test_thumbs_that_say_nothing_of_each_other_make_no_pair(tmp_path: Path, other: Example) -> None:
    report, _ = exported(tmp_path, [LIKED, other], Form.DPO)
    assert report == Report(rows=0, used=0, dropped={UNUSED: 2})


def test_of_three_answers_one_can_be_better_than_two(tmp_path: Path) -> None:
    third = example(completion("g.2"), thumb(False, of="g.2"))
    report, found = exported(tmp_path, [third, LIKED, OTHER_DISLIKED], Form.DPO)
    assert report == Report(rows=2, used=3, dropped={})
    assert [row["rejected"] for row in found] == [said("answer g.2"), said("answer g.1")]


def test_only_what_holds_is_exported(tmp_path: Path) -> None:
    folder = write(tmp_path / "examples", [LIKED, OTHER_LIKED])
    write(folder, [DISLIKED, example(thumb(True, of="g.1"), retraction(2, of="g.1"))], end=2)
    report = export(folder, Form.KTO, tmp_path / "out.jsonl")
    assert report == Report(rows=1, used=1, dropped={})
    assert json.loads((tmp_path / "out.jsonl").read_text())["label"] is False


def test_messages_and_tools_go_through_as_the_app_sent_them(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "né\u2028 \u0000"}, {"type": "image_url", "image_url": {}}]
    messages = [{"role": "system", "content": "s", "name": "n"}, {"role": "user", "content": parts}]
    tools = [{"type": "function", "function": {"name": "look"}}]
    row = LIKED._replace(
        messages=json.dumps(messages), parameters=json.dumps({"tools": tools, "n": 1})
    )
    _, (found,) = exported(tmp_path, [row], Form.SFT)
    assert found["prompt"] == messages
    assert json.loads(found["tools"]) == tools


def test_a_file_that_is_there_is_only_replaced_where_told(tmp_path: Path) -> None:
    folder, out = write(tmp_path / "examples", [LIKED]), tmp_path / "out.jsonl"
    out.write_text("mine")
    with pytest.raises(ValueError, match=r"out.jsonl is there already; expected a new name"):
        export(folder, Form.KTO, out)
    assert out.read_text() == "mine"
    assert export(folder, Form.KTO, out, overwrite=True).rows == 1
    assert json.loads(out.read_text())["label"] is True


def test_nothing_to_write_leaves_no_rows_of_another_export(tmp_path: Path) -> None:
    folder, out = write(tmp_path / "examples", [MEASURED]), tmp_path / "out.jsonl"
    out.write_text("{}\n")
    assert export(folder, Form.KTO, out, overwrite=True).rows == 0
    assert out.read_bytes() == b""


def test_an_export_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    no_utf8 = OTHER_LIKED._replace(messages='[{"role": "user", "content": "\\ud800"}]')
    folder, out = write(tmp_path / "examples", [LIKED, no_utf8]), tmp_path / "out.jsonl"
    out.write_text("before")
    with pytest.raises(UnicodeEncodeError):
        export(folder, Form.KTO, out, overwrite=True)
    (folder / "0000-000000000009-000000000009.parquet").write_bytes(b"none")
    with pytest.raises(BadExamples):
        export(folder, Form.KTO, out, overwrite=True)
    assert out.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["examples", "out.jsonl"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"folder": "none"}, "none is no folder; expected the examples that the worker wrote"),
        ({"out": "none/out.jsonl"}, "none is no folder; expected one to write out.jsonl in"),
        ({"out": "examples", "overwrite": True}, "examples is no file; expected one"),
        ({"min_weight": 1.1}, "min_weight is 1.1; expected 0 to 1"),
        ({"min_weight": float("nan")}, "min_weight is nan; expected 0 to 1"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], complaint: str
) -> None:
    write(tmp_path / "examples", [LIKED])
    asked = {"folder": "examples", "out": "out.jsonl"} | changes
    asked |= {name: tmp_path / asked[name] for name in ("folder", "out")}
    with pytest.raises(ValueError, match=complaint):
        export(form=Form.KTO, **asked)


MESSAGES = ["[]", json.dumps(ASKED), '[{"role": "user", "content": [{"type": "text"}]}]']
SAID = [LIKED, DISLIKED, A_WINS, B_WINS, CORRECTED, MEASURED]
ANY = st.builds(
    lambda row, **changes: row._replace(**changes),
    st.sampled_from(SAID),
    completion_id=st.sampled_from(["g", "g.1", "g.2", "h", "h.1"]),
    rater=st.sampled_from(["ann", "bob"]),
    weight=st.sampled_from([0.0, 0.3, 1.0]),
    finish_reason=st.sampled_from(["stop", "length", "tool_calls", None]),
    messages=st.sampled_from(MESSAGES),
    answer=st.sampled_from(["", "answer g.1"]) | st.text(max_size=5),
)
SETTLED = st.lists(ANY, unique_by=lambda row: row.identity)


@given(SETTLED, st.sampled_from(Form), st.sampled_from([0.0, 0.5]))
def test_every_example_is_counted_once(rows: list[Example], form: Form, min_weight: float) -> None:
    sifted = sift(rows, form, min_weight)
    used = {one.identity for source in sifted.sources for one in source}
    assert sifted.used == len(used)
    assert sifted.used + sum(sifted.dropped.values()) == len(rows)
    assert list(sifted.dropped) == sorted(sifted.dropped)
    assert sifted.dropped.keys() <= {why for _, _, why in LEFT_OUT}


@settings(max_examples=30, deadline=None)  # each example is some files
@given(SETTLED, st.sampled_from(Form), st.integers(0, 5))
def test_the_same_examples_give_the_same_bytes(rows: list[Example], form: Form, cut: int) -> None:
    """However many files they lie in."""
    with TemporaryDirectory() as name:
        home = Path(name)
        whole, parts = write(home / "whole", rows), home / "parts"
        for end, some in enumerate((rows[:cut], rows[cut:]), start=1):
            write(parts, some, end)
        report = export(whole, form, home / "a")
        assert report == export(parts, form, home / "b")
        assert (home / "a").read_bytes() == (home / "b").read_bytes()
        assert len((home / "a").read_bytes().splitlines()) == report.rows
