from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from serving.apis import CHAT
from serving.engine import Engine
from serving.errors import (
    BadAnswer,
    EngineAway,
    EngineError,
    EngineRefused,
    EngineSlow,
    WrongAdapter,
)
from serving.limits import Patience
from tests.serving.gateway import until
from tests.serving.scripted import WORDS, ScriptedEngine
from tests.serving.servers import served

pytestmark = pytest.mark.anyio
PATIENCE = Patience(silence_seconds=0.5, answer_seconds=5)
BODY: dict[str, Any] = {"messages": [], "stream": True}
PART = b'data: {"id": "chatcmpl-r", "model": "model", "choices": []}\n\n'


def engine_at(url: str, patience: Patience = PATIENCE) -> Engine:
    return Engine(url, "model", patience=patience)


async def answer(url: str, adapter: str = "model-v1", **more: Any) -> list[dict[str, Any]]:
    engine = engine_at(url)
    try:
        async with aclosing(engine.answer(CHAT, adapter, BODY | more, "r")) as batches:
            return [part async for batch in batches for part in batch]
    finally:
        await engine.close()


def saying(*blocks: bytes, pause_seconds: float = 0.01) -> Starlette:
    """An engine that says these blocks, each in a packet of its own."""

    async def blocks_in_turn() -> AsyncIterator[bytes]:
        for block in blocks:
            yield block
            await anyio.sleep(pause_seconds)

    async def chat(_: Request) -> Response:
        return StreamingResponse(blocks_in_turn(), media_type="text/event-stream")

    return Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])


async def test_the_answer_is_named_after_the_request() -> None:
    with served(ScriptedEngine().app()) as url:
        parts = await answer(url)
        (whole,) = await answer(url, stream=False)
    assert {part["id"] for part in parts} == {whole["id"]} == {"chatcmpl-r"}
    assert len(parts) == 1 + len(WORDS)


async def test_base_is_asked_for_by_the_name_that_the_engine_gives_it() -> None:
    engine = ScriptedEngine()
    with served(engine.app()) as url:
        await answer(url, "base")
    assert engine.asked[0]["model"] == "model"


@pytest.mark.parametrize("cut", [1, 5, 6, len(PART) - 2, len(PART) - 1, len(PART)])
async def test_events_are_whole_wherever_the_packets_are_cut(cut: int) -> None:
    said = b": keep-alive\n\n" + PART + PART
    blocks = [said[:cut], said[cut:], b"data: [DO", b"NE]\n\n"]
    with served(saying(*blocks)) as url:
        parts = await answer(url, "base")
    assert [part["id"] for part in parts] == ["chatcmpl-r"] * 2


async def test_a_line_end_within_an_answer_cuts_nothing() -> None:
    said = PART.replace(b"chatcmpl-r", "a\u2028b\u0085c".encode())
    with served(saying(said, b"data: [DONE]\n\n")) as url:
        (part,) = await answer(url, "base")
    assert part["id"] == "a\u2028b\u0085c"


async def test_nobody_there_is_away() -> None:
    with pytest.raises(EngineAway, match="cannot be reached: ConnectionRefusedError"):
        await answer("http://127.0.0.1:9")


async def test_silence_is_slow() -> None:
    with served(saying(PART, b"", pause_seconds=1.5)) as url:
        engine = engine_at(url, Patience(silence_seconds=0.1, answer_seconds=5))
        with pytest.raises(EngineSlow):
            async for batch in engine.answer(CHAT, "base", BODY, "r"):
                assert [part["id"] for part in batch] == ["chatcmpl-r"]
        await engine.close()


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        (b"data: {oh\n\n", BadAnswer, "expected JSON"),
        (b"data: [1]\n\n", BadAnswer, "expected an answer"),
        (b'data: {"id": "x"}\n\n', BadAnswer, "expected an answer"),
        (PART.replace(b"[]", b"[{}]"), BadAnswer, "expected an answer"),
        (PART, EngineAway, "ended its answer in the middle"),
        (PART.replace(b'"model",', b'"m2",'), WrongAdapter, "answered with 'm2'; expected 'model'"),
        (b'data: {"error": {"message": "fire", "code": 503}}\n\n', EngineRefused, "fire"),
        (b'data: {"error": "fire"}\n\n', EngineRefused, "fire"),
    ],
)
async def test_what_is_no_answer_is_told_apart(
    said: bytes, error: type[EngineError], words: str
) -> None:
    with served(saying(said)) as url, pytest.raises(error, match=words):
        await answer(url, "base")


@pytest.mark.parametrize(
    ("raw", "status", "message"),
    [
        (b'{"error": {"message": "no", "type": "T", "param": "p", "code": 418}}', 418, "no"),
        (b'{"error": {"message": "no"}}', 500, "no"),
        (b"Internal Server Error", 500, "Internal Server Error"),
        (b"[]", 500, "[]"),
        (b"", 500, ""),
    ],
)
async def test_a_refusal_keeps_the_words_of_the_engine(
    raw: bytes, status: int, message: str
) -> None:
    async def chat(_: Request) -> Response:
        return Response(raw, 500)

    app = Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])
    with served(app) as url, pytest.raises(EngineRefused) as caught:
        await answer(url)
    assert (caught.value.status, str(caught.value)) == (status, message)


async def test_a_reader_who_stops_closes_the_request() -> None:
    scripted = ScriptedEngine(word_seconds=0.2)
    with served(scripted.app()) as url:
        engine = engine_at(url, Patience(5, 5))
        parts = engine.answer(CHAT, "model-v1", BODY, "r")
        await anext(parts)
        await parts.aclose()
        await anyio.to_thread.run_sync(until, lambda: scripted.left == 1)
        scripted.word_seconds = 0.0
        assert await anext(engine.answer(CHAT, "model-v1", BODY | {"stream": False}, "r2"))
        await engine.close()


async def test_health_is_what_the_engine_says_of_itself() -> None:
    scripted = ScriptedEngine()
    with served(scripted.app()) as url:
        engine = engine_at(url, Patience(5, 5))
        await engine.check()
        scripted.healthy = False
        with pytest.raises(EngineAway, match="health is 503; expected 200"):
            await engine.check()
        await engine.close()
