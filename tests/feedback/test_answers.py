"""What is read the quick way is what the events say, and nothing more is let in."""

import json
from array import array
from datetime import datetime, timedelta, timezone
from random import Random

import pytest
from hypothesis import given
from pydantic import ValidationError

from feedback.answers import _Usual, answer_of, read_answer, usual_answer, written
from feedback.events import BadEvent, Completion, decode, encode
from feedback.examples import Example
from tests.feedback.fuzz import WAYS
from tests.feedback.made import completion
from tests.feedback.test_events import completions


@given(completions())
def test_every_completion_is_read_to_the_same_values(served: Completion) -> None:
    assert read_answer(encode(served)) == answer_of(served)


@given(completions())
def test_every_completion_is_written_as_the_event_is(served: Completion) -> None:
    assert decode(written(served.model_dump()), (Completion,)) == served


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user", ""),
        ("user", 5),
        ("user", "a" * 201),
        ("answer", "a" * 200_001),
        ("answer_ids", (1, 2**31)),
        ("logprobs", (-1.0,)),
        ("logprobs", (-1.0, float("nan"))),
        ("logprobs", (-1.0, float("-inf"))),
        ("parameters", {"top_p": float("inf")}),
        ("messages", ({"content": float("nan")},)),
        ("messages", ({"content": object()},)),
        ("messages", ("hi",)),
        ("at", datetime(2026, 1, 1)),
        ("at", datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))),
        ("total_seconds", -1.0),
        ("split_revision", -1),
        ("more", 1),
    ],
)
def test_what_is_no_completion_is_not_written(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        written(completion().model_dump() | {field: value})


@pytest.mark.parametrize("depth", [100, 140, 160, 190])
def test_what_is_unusual_is_written_too(depth: int) -> None:
    deep: object = "word"
    for _ in range(depth):
        deep = [deep]
    served = completion().model_copy(update={"messages": ({"role": "user", "content": deep},)})
    assert decode(written(served.model_dump()), (Completion,)) == served


def test_brackets_in_what_is_said_are_written_the_quick_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = "x[0] = {}\n" * 100
    offered = [{"function": {"parameters": {"required": ["a", "b"]}}} for _ in range(50)]
    served = completion().model_copy(
        update={
            "answer": code,
            "messages": ({"role": "user", "content": [{"type": "text", "text": code}]},) * 80,
            "parameters": {"tools": offered},
        }
    )
    monkeypatch.setattr("feedback.answers.Completion", None)
    assert json.loads(written(served.model_dump())) == json.loads(encode(served))


def test_what_is_usual_is_read_the_quick_way() -> None:
    answer = usual_answer(encode(completion()))
    assert answer == answer_of(completion())
    assert answer.answer_ids == array("i", [4, 5])


def test_every_field_of_a_completion_is_usual() -> None:
    whole = completion().model_copy(update={"app": "shop", "prompt_tokens": 3, "answer_tokens": 2})
    assert usual_answer(encode(whole)) == answer_of(whole)
    assert set(_Usual.__struct_fields__) == set(Completion.model_fields)


def test_an_answer_is_how_an_example_begins() -> None:
    answer = answer_of(completion())
    renamed = {"id": "completion_id", "at": "completed_at"}
    names = tuple(renamed.get(name, name) for name in answer._fields)
    assert Example._fields[: len(names)] == names


def test_what_is_read_the_quick_way_would_be_read_as_an_event_too() -> None:
    random, sound, taken = Random("answers"), encode(completion()), 0
    for _ in range(5000):
        raw = random.choice(WAYS)(sound, random)
        if answer := usual_answer(raw):
            assert answer == answer_of(decode(raw, (Completion,)))
            taken += 1
    assert taken > 50


@pytest.mark.parametrize("depth", [100, 197, 198, 199, 200, 253, 254, 300, 5000])
def test_how_deep_a_message_may_be_is_the_same_for_both(depth: int) -> None:
    raw = encode(completion()).replace(b'"question c1"', b"[" * depth + b"]" * depth)
    try:
        expected = answer_of(decode(raw, (Completion,)))
    except BadEvent as error:
        with pytest.raises(BadEvent, match=f"^{error}$"):
            read_answer(raw)
    else:
        assert read_answer(raw) == expected


def test_what_is_unusual_is_read_all_the_same() -> None:
    at = "2026-01-01T00:00Z"
    raw = json.dumps(json.loads(encode(completion())) | {"at": at}).encode()
    assert usual_answer(raw) is None
    assert read_answer(raw) == answer_of(completion())


def test_a_complaint_is_that_of_the_event() -> None:
    raw = encode(completion()).replace(b"[4,5]", b"[4,true]")
    with pytest.raises(BadEvent, match=r"answer_ids\.1: Input should be a valid integer"):
        read_answer(raw)
