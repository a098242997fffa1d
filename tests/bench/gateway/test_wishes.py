"""An answer that is not all there is found out."""

import pytest

from tests.bench.gateway.answers import DONE, Shape, chunks, head, whole
from tests.bench.gateway.client import Answer
from tests.bench.gateway.wishes import Wish

SHAPE = Shape(tokens=4, ids=False, logprobs=False)
HEAD = head("chat.completion.chunk", "chatcmpl-1", "model")
EVENTS = [b"data: %b%b\n\n" % (HEAD, tail) for tail in chunks(SHAPE)]
STREAM = Wish(tokens=4, streams=True)
WHOLE = Wish(tokens=4, streams=False)
BODY = HEAD + whole(SHAPE)


def _answer(*blocks: bytes, status: int = 200) -> Answer:
    return Answer(status=status, blocks=list(blocks))


def test_all_of_it_is_right_however_it_was_cut_and_spaced() -> None:
    assert STREAM.complaint(_answer(*EVENTS, DONE)) is None
    body = b"".join([*EVENTS, DONE]).replace(b'":', b'": ')
    assert STREAM.complaint(_answer(body[:99], body[99:])) is None
    assert WHOLE.complaint(_answer(BODY)) is None


@pytest.mark.parametrize(
    "blocks",
    [
        EVENTS,  # no end mark
        [*EVENTS[:2], *EVENTS[3:], DONE],  # one is missing
        [*EVENTS[:3], *EVENTS[2:], DONE],  # one is there twice
        [EVENTS[0], EVENTS[2], EVENTS[1], *EVENTS[3:], DONE],  # two have changed places
        [*EVENTS[:2], EVENTS[2].replace(b"word1", b"wort1"), *EVENTS[3:], DONE],
        [EVENTS[0], EVENTS[1].replace(b" word0", b" word0 word1"), *EVENTS[3:], DONE],  # joined
        [],
    ],
)
def test_a_stream_that_is_not_all_there_is_wrong(blocks: list[bytes]) -> None:
    assert STREAM.complaint(_answer(*blocks)) is not None


def test_an_error_and_a_short_answer_are_wrong() -> None:
    assert "status 500" in (WHOLE.complaint(_answer(BODY, status=500)) or "")
    assert WHOLE.complaint(_answer(BODY.replace(b" word3", b""))) is not None


def test_of_a_stream_that_was_cut_the_chunks_that_came_count_if_they_are_right() -> None:
    assert STREAM.chunks(_answer(*EVENTS[:3], EVENTS[3][:-20])) == 3
    assert STREAM.chunks(_answer()) == 0
    assert STREAM.chunks(_answer(EVENTS[0], *EVENTS[2:])) is None
