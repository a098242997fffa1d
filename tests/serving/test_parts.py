"""What vLLM says, read however it comes in pieces. `test_engine.py` has it over HTTP."""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.apis import Part
from serving.errors import BadAnswer, EngineAway, ServingError, WrongAdapter
from serving.parts import Events, refusal, whole


def part(text: str) -> Part:
    return {"id": "r", "model": "m", "choices": [{"index": 0, "delta": {"content": text}}]}


def event(said: Any) -> bytes:
    return b"data: %s\n\n" % json.dumps(said, ensure_ascii=False).encode()


DONE = b"data: [DONE]\n\n"


def _cut(raw: bytes, cuts: list[int]) -> Iterator[bytes]:
    places = [0, *sorted(cut % (len(raw) + 1) for cut in cuts), len(raw)]
    for start, end in pairwise(places):
        yield raw[start:end]


def read(raw: bytes, cuts: list[int]) -> tuple[list[list[Part]], ServingError | None]:
    """The batches, and what ended them."""
    batches, events = list[list[Part]](), Events("m")
    try:
        for block in _cut(raw, cuts):
            if batch := events.take(block):
                batches.append(batch)
            events.check()
        events.check_end()
    except ServingError as error:
        return batches, error
    return batches, None


texts = st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), max_size=5)
cuts = st.lists(st.integers(0, 10_000), max_size=12)


@settings(max_examples=40)
@given(texts, cuts)
def test_the_same_is_read_wherever_it_is_cut(said: list[str], cuts: list[int]) -> None:
    raw = b"".join(event(part(text)) + b": keep-alive\n\n" for text in said) + DONE
    batches, error = read(raw, cuts)
    assert error is None
    assert [one for batch in batches for one in batch] == [part(text) for text in said]


@settings(max_examples=40)
@given(texts, cuts)
def test_what_was_said_before_the_trouble_is_read_and_nothing_behind_it(
    said: list[str], cuts: list[int]
) -> None:
    raw = b"".join(event(part(text)) for text in said)
    trouble = event({"error": {"message": "on fire", "code": 500}})
    batches, error = read(raw + trouble + event(part("behind")) + DONE, cuts)
    assert str(error) == "on fire"
    assert [one for batch in batches for one in batch] == [part(text) for text in said]


@given(st.integers(0, 200))
def test_a_stream_that_is_cut_off_is_no_whole_one(length: int) -> None:
    raw = event(part("Hello")) + event(part(" there")) + DONE
    _, error = read(raw[:length], [])
    assert (error is None) == (length >= len(raw))
    assert error is None or isinstance(error, EngineAway)


def test_what_came_together_is_one_batch() -> None:
    raw = event(part("a")) + event(part("b"))
    batches, _ = read(raw + event(part("c")) + DONE, [len(raw)])
    assert [len(batch) for batch in batches] == [2, 1]


@settings(max_examples=40)
@given(st.binary(max_size=60))
def test_any_bytes_are_an_answer_or_a_trouble_that_is_named(raw: bytes) -> None:
    read(raw, [])
    refusal(500, raw)
    with pytest.raises(ServingError):
        whole(raw, "m")


def test_an_answer_of_another_model_is_none() -> None:
    raw = json.dumps(part("Hello")).encode()
    assert whole(raw, "m") == part("Hello")
    with pytest.raises(WrongAdapter, match="answered with 'm'; expected 'm-v1'"):
        whole(raw, "m-v1")


@pytest.mark.parametrize("raw", [b'{"id":"r","model":"m","choices":7}', b'"choices"', b"null"])
def test_what_has_another_shape_is_no_answer(raw: bytes) -> None:
    with pytest.raises(BadAnswer, match="expected an answer"):
        whole(raw, "m")
