"""Readers that are silent, slow, or gone: they cost little, and nothing of them stays."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.integration.alone import Gateway, gateway
from tests.integration.rude.line import (
    FOREVER,
    MB,
    Line,
    asked,
    ordinary,
    post,
    tell,
)
from tests.integration.telling import telling_engine
from tests.serving.gateway import until

pytestmark = pytest.mark.integration
ENDLESS = 10**9  # tokens
SILENT_STREAMS, SILENT_STREAM_BYTES = 1000, 100_000  # seen: 39,000
# What the system takes for a reader, up to 4 MB, is remembered of the answer too. Seen: 6.2 MB.
SLOW_READERS, SLOW_READER_BYTES = 50, 4 * MB


def test_a_thousand_silent_streams_cost_little(placed: Gateway) -> None:
    placed.forget_peak()
    before = placed.resident_bytes
    with many(placed, SILENT_STREAMS) as lines:
        for line in lines:
            line.say(post(asked(seed=FOREVER)))
        for line in lines:
            assert b'"feedback_token"' in line.hear(b"\n\n")
        assert placed.in_flight() == SILENT_STREAMS
        ordinary(placed)
        peak = placed.peak_bytes - before
    until(lambda: placed.in_flight() == 0, 20)
    tell(f"{SILENT_STREAMS} silent streams", placed, before)
    assert peak < SILENT_STREAMS * SILENT_STREAM_BYTES


def test_slow_readers_of_endless_streams_hold_the_engine_back(placed: Gateway) -> None:
    """They fill what the system holds for them; from then on the engine waits."""
    placed.forget_peak()
    before = placed.resident_bytes
    with many(placed, SLOW_READERS, window=4096) as lines:
        for line in lines:
            line.say(post(asked(max_tokens=ENDLESS)))
            assert b'"feedback_token"' in line.hear(b"\n\n")
        grown = _until_it_grows_no_more(placed, lines)
        assert placed.in_flight() == SLOW_READERS
        ordinary(placed)
    until(lambda: placed.in_flight() == 0, 20)
    tell(f"{SLOW_READERS} slow readers of an endless stream", placed, before)
    assert grown - before < SLOW_READERS * SLOW_READER_BYTES


@contextmanager
def many(placed: Gateway, count: int, window: int | None = None) -> Iterator[list[Line]]:
    with ExitStack() as until_the_end:
        yield [until_the_end.enter_context(Line(placed.port, window)) for _ in range(count)]


def _until_it_grows_no_more(placed: Gateway, lines: list[Line]) -> int:
    """Its size, once it was the same for four seconds, in which all have read a little."""
    sizes = [placed.resident_bytes]
    while len(sizes) < 5 or max(sizes[-5:]) - min(sizes[-5:]) > MB:
        assert len(sizes) < 60, f"it grows and grows: {sizes}"
        time.sleep(1)
        for line in lines:
            assert line.socket.recv(8)
        sizes.append(placed.resident_bytes)
    return sizes[-1]


def test_who_closes_their_half_is_gone(placed: Gateway) -> None:
    for raw in (b"", b"POST /v1/cha", post(asked())[:-5]):
        with Line(placed.port) as line:
            line.say(raw)
            time.sleep(0.2)
            line.end()
            assert line.hear_all() == b""
    with Line(placed.port) as line:
        line.say(post(asked(seed=FOREVER)))
        line.hear(b"\n\n")
        line.end()
        line.hear_all()
    until(lambda: placed.in_flight() == 0)


def test_of_pipelined_requests_the_first_is_answered(placed: Gateway) -> None:
    """The others may be: whoever pipelines asks again on a new connection."""
    with Line(placed.port) as line:
        line.say(b"".join(post(asked(max_tokens=count)) for count in range(1, 11)))
        heard = line.hear_all()
    told = [answer.count(b'"content"') - 1 for answer in heard.split(b"HTTP/1.1 ")[1:]]
    assert told == list(range(1, len(told) + 1))


def test_one_after_the_other_is_answered_on_one_connection(placed: Gateway) -> None:
    with Line(placed.port) as line:
        for count in range(1, 6):
            line.say(post(asked(max_tokens=count, more="x" * 100_000)))
            assert line.hear(b"[DONE]\n\n\r\n0\r\n\r\n").count(b'"content"') == count + 1


def test_who_pipelines_and_hangs_up_stops_the_engine(tmp_path: Path) -> None:
    with telling_engine(tmp_path) as engine, gateway(tmp_path, engine) as placed:
        with Line(placed.port) as line:
            line.say(post(asked(seed=FOREVER)) * 2)
            line.hear(b"\n\n")
        with Line(placed.port) as line:
            line.say(post(asked(seed=FOREVER)))
            line.hear(b"\n\n")
            line.say(post(asked(seed=FOREVER)))
        until(lambda: placed.in_flight() == 0, 5)
