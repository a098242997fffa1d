import json
import re
from pathlib import Path
from typing import Any

import pytest

from trainer.golden import BadGolden, Message, read_golden

ASK = {"id": "a", "prompt": "Say hi"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "golden.jsonl"


def write(file: Path, *lines: dict[str, Any]) -> str:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(file)


def test_every_check_is_read(file: Path) -> None:
    asked = [{"role": "user", "content": "Hi"}]
    checks = {"contains": "hi", "matches": "^h", "json": {"required": ["x"]}, "refuses": False}
    path = write(file, {"id": "a", "messages": asked, "answer": "hi", **checks})
    (golden,) = read_golden(path)
    assert golden.messages == (Message(role="user", content="Hi"),)
    assert (golden.contains, golden.matches, golden.keys) == ("hi", "^h", ("x",))
    assert (golden.refuses, golden.answer) == (False, "hi")


def test_json_true_asks_for_no_keys(file: Path) -> None:
    assert read_golden(write(file, ASK | {"json": True}))[0].keys == ()


def test_an_answer_alone_is_not_asked_for(file: Path) -> None:
    one, two = read_golden(write(file, ASK | {"answer": "hi"}, ASK | {"id": "b", "refuses": True}))
    assert (one.asked, one.exact) == (False, False)
    assert (two.asked, two.exact) == (True, False)


def test_empty_lines_are_passed_over_and_no_file_is_no_prompts(file: Path) -> None:
    write(file, ASK | {"json": True})
    file.write_text("\n" + file.read_text() + "\n\n")
    assert [golden.id for golden in read_golden(str(file))] == ["a"]
    assert read_golden(None) == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (ASK | {"refuses": "yes"}, "refuses: Input should be a valid boolean (got 'yes')"),
        (ASK | {"contains": ""}, "contains: String should have at least 1 character (got '')"),
        (ASK | {"contains": 7}, "contains: Input should be a valid string (got 7)"),
        (ASK | {"matches": "("}, "matches: expected a regular expression: missing )"),
        (ASK | {"json": False}, 'json: expected true or {"required": [KEYS]}'),
        (ASK | {"json": {"type": "object"}}, 'json: expected true or {"required": [KEYS]}'),
        (ASK | {"json": {"required": [1]}}, "json.0: Input should be a valid string (got 1)"),
        (ASK | {"contians": "x"}, "contians: Extra inputs are not permitted (got 'x')"),
        (ASK, "no check: expected contains, matches, json, refuses or answer"),
        ({"prompt": "x", "json": True}, "id: Field required"),
        ({"id": "a", "json": True}, "messages, prompt: expected one of them and not both"),
        (
            ASK | {"messages": [{"role": "user", "content": "x"}], "json": True},
            "messages, prompt: expected one of them and not both",
        ),
        ({"id": "a", "messages": [], "json": True}, "messages: Tuple should have at least 1 item"),
        (
            {"id": "a", "messages": [{"role": "user"}], "json": True},
            "messages.0.content: Field required",
        ),
    ],
)
def test_a_bad_line_is_refused_by_file_line_and_field(
    file: Path, line: dict[str, Any], why: str
) -> None:
    path = write(file, {"id": "first", "prompt": "x", "json": True}, line)
    with pytest.raises(BadGolden, match=re.escape(f"golden {path!r}, line 2: {why}")):
        read_golden(path)


def test_a_line_that_is_no_json_is_refused(file: Path) -> None:
    file.write_text('{"id": "a"')
    with pytest.raises(BadGolden, match="line 1: Invalid JSON: EOF"):
        read_golden(str(file))


def test_an_id_that_comes_twice_is_refused_with_both_lines(file: Path) -> None:
    path = write(file, ASK | {"json": True}, ASK | {"id": "b", "json": True}, ASK | {"json": True})
    with pytest.raises(BadGolden, match="line 3: id is 'a', as in line 1; expected another one"):
        read_golden(path)


def test_a_file_that_is_empty_or_not_there_is_refused(file: Path) -> None:
    with pytest.raises(BadGolden, match=r"golden is '.*'; expected a file of JSON lines"):
        read_golden(str(file))
    file.write_text("\n")
    with pytest.raises(BadGolden, match="has no lines; expected at least one prompt"):
        read_golden(str(file))
