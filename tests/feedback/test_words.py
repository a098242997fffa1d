"""What is read the quick way is what the events say, and nothing more is let in."""

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.events import VERDICT_KINDS, BadEvent, Ruling, Verdict, decode, encode
from feedback.words import Word, read_word, usual_word, word_of
from tests.feedback.fuzz import WAYS
from tests.feedback.made import (
    at,
    comparison,
    correction,
    outcome,
    retraction,
    ruling,
    thumb,
)

ABOUT: list[Verdict | Ruling] = [
    *(thumb(True), thumb(False, user="bob"), comparison("g", "g.1", "b"), correction("so")),
    *(outcome("resolved", 0.5), retraction(2), ruling(0.0)),
]


@given(st.sampled_from(ABOUT))
def test_every_verdict_is_read_to_the_same_values(said: Verdict | Ruling) -> None:
    assert read_word(encode(said)) == word_of(said)


def _word(kind: str, key: str, slot: str, **more: Any) -> Word:
    return Word(kind, "c1", key, None, at(1), slot, **more)


SAYS: list[tuple[Verdict, Word]] = [
    (thumb(True), _word("thumb", "c1-True-1", "thumb", up=True)),
    (correction("so"), _word("correction", "t1", "correction", correction="so")),
    (outcome("cost", 2.0), _word("outcome", "o1cost", "outcome:cost", value=2.0)),
    (
        comparison("c1", "c1.1"),
        _word("comparison", "x1", "comparison", other_id="c1.1", winner="a"),
    ),
    (retraction(1), _word("retraction", "r1", "thumb")),
]


@pytest.mark.parametrize(("said", "word"), SAYS)
def test_a_word_says_what_its_verdict_says(said: Verdict, word: Word) -> None:
    assert word_of(said) == word
    assert word.retracted is (said.kind == "retraction")


def test_what_is_usual_is_read_the_quick_way() -> None:
    assert usual_word(encode(thumb(True))) == word_of(thumb(True))


def test_what_is_read_the_quick_way_would_be_read_as_an_event_too() -> None:
    random, sound, taken = Random("words"), encode(thumb(True)), 0
    for _ in range(5000):
        raw = random.choice(WAYS)(sound, random)
        if word := usual_word(raw):
            event = decode(raw, VERDICT_KINDS)
            assert isinstance(event, Verdict)
            assert word == word_of(event)
            taken += 1
    assert taken > 50


def test_a_complaint_is_that_of_the_event() -> None:
    with pytest.raises(BadEvent, match="thumb: up: Input should be a valid boolean"):
        read_word(encode(thumb(True)).replace(b"true", b'"yes"'))
