"""Heads of requests that are too large are refused before they fill the memory."""

from contextlib import suppress

import pytest

from tests.integration.alone import Gateway
from tests.integration.rude.line import (
    MB,
    Line,
    asked,
    post,
    status,
    tell,
)

pytestmark = pytest.mark.integration
CLOSED = (0, 400, 431)


@pytest.mark.parametrize("size", [MB, 100 * MB])
def test_a_header_has_a_limit(placed: Gateway, size: int) -> None:
    placed.forget_peak()
    before = placed.resident_bytes
    with Line(placed.port) as line:
        with suppress(OSError):
            line.say(b"GET /healthz HTTP/1.1\r\nx: ")
            for _ in range(size // 65536):
                line.say(b"x" * 65536)
            line.say(b"\r\n\r\n")
        got = status(line.hear(b"\r\n\r\n"))
    tell(f"a header of {size / MB:.0f} MB, status {got}", placed, before)
    assert got in CLOSED
    assert placed.peak_bytes - before < 10 * MB


def test_many_headers_have_a_limit(placed: Gateway) -> None:
    with Line(placed.port) as line:
        with suppress(OSError):
            line.say(b"GET /healthz HTTP/1.1\r\n")
            for _ in range(200):
                line.say(b"x: y\r\n" * 1000)
            line.say(b"\r\n")
        assert status(line.hear(b"\r\n\r\n")) in CLOSED


def test_large_headers_below_the_limit_pass(placed: Gateway) -> None:
    with Line(placed.port) as line:
        for _ in range(3):
            line.say(post(asked(max_tokens=2), b"cookie: " + b"x" * 30_000))
            assert line.hear(b"[DONE]").count(b"data: ") == 4
