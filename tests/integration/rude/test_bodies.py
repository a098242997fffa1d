"""Bodies that are too large, too slow, or break off: they are refused, and not kept."""

import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.integration.alone import Gateway, gateway
from tests.integration.rude.line import (
    MB,
    Line,
    asked,
    ordinary,
    post,
    status,
    tell,
)
from tests.integration.telling import telling_engine

pytestmark = pytest.mark.integration
STRICT_SECONDS = 4.0


def test_ten_megabytes_are_too_large(placed: Gateway) -> None:
    with Line(placed.port) as line:
        line.say(post(asked(more="x" * 10 * MB)))
        assert status(line.hear(b"body_too_large")) == 413


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_body_without_end_is_refused_and_not_kept(placed: Gateway, framing: str) -> None:
    placed.forget_peak()
    before = placed.resident_bytes
    block = b"x" * 65536
    with Line(placed.port) as line:
        line.say(endless(framing))
        for _ in range(200 * MB // len(block)):
            line.say(b"10000\r\n" + block + b"\r\n" if framing == "chunks" else block)
        assert status(line.hear(b"body_too_large")) == 413
    tell(f"200 MB of an endless body in {framing}", placed, before)
    assert placed.peak_bytes - before < 40 * MB  # five times what is read of a body


def endless(framing: str) -> bytes:
    head = post(b"", length=10**12)
    chunked = b"transfer-encoding: chunked"
    return head.replace(b"content-length: %d" % 10**12, chunked) if framing == "chunks" else head


def test_no_request_may_take_for_ever(tmp_path: Path) -> None:
    """Whoever says nothing, or a bit of a head or body, or is read on after a refusal."""
    unfinished = (
        b"",
        b"POST /v1/cha",
        post(asked(), length=10_000),
        endless("length") + b"x" * 9 * MB,
    )
    with ExitStack() as until_the_end:
        enter = until_the_end.enter_context
        engine = enter(telling_engine(tmp_path))
        strict = enter(gateway(tmp_path, engine, serving_request_seconds=str(STRICT_SECONDS)))
        lines = [enter(Line(strict.port)) for _ in unfinished]
        began = time.monotonic()
        for line, raw in zip(lines, unfinished, strict=True):
            line.say(raw)
        with suppress(OSError):  # to go on slowly does not help
            while time.monotonic() < began + 20:
                lines[1].say(b"t")
                time.sleep(0.1)
        assert [status(line.hear_all()) for line in lines] == [0, 0, 0, 413]
        assert STRICT_SECONDS <= time.monotonic() - began < 15


def test_who_breaks_off_is_no_error_of_ours(placed: Gateway) -> None:
    before = said(placed)
    for _ in range(3):
        with Line(placed.port) as line:
            line.say(post(asked(), length=10_000))
            time.sleep(0.2)
    ordinary(placed)
    assert "Traceback" not in said(placed).removeprefix(before)


def said(placed: Gateway) -> str:
    return placed.room.output.read_text(errors="replace")


def test_a_length_that_is_too_long_is_waited_for_in_vain(placed: Gateway) -> None:
    with Line(placed.port) as line:
        line.say(post(asked(), length=10_000))
        time.sleep(0.5)
        ordinary(placed)


def test_who_says_a_byte_at_a_time_is_in_nobodys_way(placed: Gateway) -> None:
    head, end, body = post(asked()).partition(b"\r\n\r\n")
    with ExitStack() as until_the_end:
        lines = [until_the_end.enter_context(Line(placed.port)) for _ in range(200)]
        for line in lines[::2]:
            line.say(head + end)
        for place in range(50):
            for number, line in enumerate(lines):
                line.say((head if number % 2 else body)[place : place + 1])
            ordinary(placed)
