"""Requests that are none, or hold what no text holds: refused with a status, never with a 500."""

import pytest

from tests.integration.alone import Gateway
from tests.integration.rude.line import (
    Line,
    asked,
    post,
    status,
)

pytestmark = pytest.mark.integration


NONSENSE = {
    "a body that is no UTF-8": (post(b'{"model": "\xff\xfe"}'), 400),
    "a body with NUL": (post(b'{"model": "model\x00"}'), 400),
    "half a surrogate": (post(rb'{"model": "model", "messages": [{"role": "\ud800"}]}'), 400),
    "deep JSON": (post(b"[" * 100_000), 400),
    "deep messages": (post(b'{"messages":' + b"[" * 150 + b"]" * 150 + b"}"), 400),
    "a long number": (post(b'{"n":' + b"9" * 10_000 + b"}"), 400),
    "no JSON": (post(b"<xml/>"), 400),
    "a header with NUL": (post(asked(), b"x-thumbwheel-user: a\x00b"), 400),
    "a header without a name": (post(asked(), b": ann"), 400),
    "a path with a raw byte": (b"GET /\xff HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "a path with NUL": (b"GET /\x00 HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    "a path with quoted NUL": (b"GET /v1/%00models HTTP/1.1\r\nhost: a\r\n\r\n", 404),
    "a path with a quoted byte": (b"GET /v1/models%ff HTTP/1.1\r\nhost: a\r\n\r\n", 404),
    "a path that climbs": (b"GET /../../etc/passwd HTTP/1.1\r\nhost: a\r\n\r\n", 404),
    "no path": (b"GET HTTP/1.1\r\n\r\n", 400),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "an older HTTP": (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
    "a newer HTTP": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "a negative length": (post(asked(), length=-1), 400),
    "a length of words": (post(asked(), length="many"), 400),
    "two lengths": (post(asked(), b"content-length: 3"), 400),
    "a length and chunks": (post(asked(), b"transfer-encoding: chunked"), 400),
    "a chunk of no size": (
        post(b"zz\r\n", b"transfer-encoding: chunked").replace(b"content-length: 4\r\n", b""),
        400,
    ),
    "a length that is too short": (post(asked(), length=3), 400),
}


@pytest.mark.parametrize("raw, expected", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_refused(placed: Gateway, raw: bytes, expected: int) -> None:
    with Line(placed.port) as line:
        line.say(raw)
        assert status(line.hear(b"\r\n\r\n")) == expected


@pytest.mark.parametrize("name", [b"x-thumbwheel-user", b"x-thumbwheel-conversation", b"cookie"])
def test_a_header_may_hold_any_bytes_but_controls(placed: Gateway, name: bytes) -> None:
    with Line(placed.port) as line:
        line.say(post(asked(), name + b": \xff\xfe\xc3("))
        assert line.hear(b"[DONE]").count(b"data: ") == 5
    assert placed.metric("thumbwheel_serving_completions_lost_total") == 0


def test_a_user_may_have_any_characters(placed: Gateway) -> None:
    with Line(placed.port) as line:
        line.say(post(asked(user="\x00\u2028\ufffe\U0001f600")))
        assert line.hear(b"[DONE]").count(b"data: ") == 5
    assert placed.metric("thumbwheel_serving_completions_lost_total") == 0
