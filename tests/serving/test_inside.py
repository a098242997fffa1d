"""vLLM's app called in place: what goes in, what comes out, and what a bad end is."""

from asyncio import CancelledError, sleep
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest
from anyio import create_task_group
from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.apis import CHAT, TEXT
from serving.errors import (
    AnswerTooLong,
    BadAnswer,
    EngineAway,
    EngineError,
    EngineRefused,
    EngineSlow,
)
from serving.inside import MOST_BLOCKS, Inside
from serving.limits import Patience
from tests.serving.scripted import WORDS, ScriptedEngine

pytestmark = pytest.mark.anyio
BODY: dict[str, Any] = {"messages": [], "stream": True}
PART = b'data: {"id": "chatcmpl-r", "model": "model-v1", "choices": []}\n\n'
START: Message = {"type": "http.response.start", "status": 200, "headers": []}
Speak = Callable[[Receive, Send], Awaitable[None]]


def inside(app: ASGIApp, silence: float = 5, answer: float = 5, key: str | None = None) -> Inside:
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {"of": "vLLM"}}
    return Inside(app, scope, "model", patience=Patience(silence, answer), key=key)


async def parts_of(mine: Inside, adapter: str = "model-v1", **more: Any) -> list[dict[str, Any]]:
    async with aclosing(mine.answer(CHAT, adapter, BODY | more, "r")) as batches:
        return [part async for batch in batches for part in batch]


def saying(speak: Speak) -> ASGIApp:
    """An app that begins with a status of 200 and goes on like this."""

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await speak(receive, send)

    return app


def said(body: bytes, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def test_a_whole_answer_and_a_stream_are_named_after_the_request() -> None:
    mine = inside(ScriptedEngine().app())
    (whole,), streamed = await parts_of(mine, stream=False), await parts_of(mine)
    assert {whole["id"]} == {part["id"] for part in streamed} == {"chatcmpl-r"}
    assert len(streamed) == 1 + len(WORDS)


async def test_the_app_sees_a_request_as_a_server_would_hand_it_on() -> None:
    seen: list[Request] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        assert from_json(await request.body())["model"] == "model"
        seen.append(request)
        answer = {"id": "cmpl-r", "model": "model", "choices": []}
        await JSONResponse(answer)(scope, receive, send)

    mine = inside(app, key="vLLM's key")
    body = {"prompt": "Hi"}
    headers = (("traceparent", "00-1-2-01"),)
    async with aclosing(mine.answer(TEXT, "base", body, "r", headers)) as batches:
        await anext(batches)
    (request,) = seen
    assert (request.method, request.url.path) == ("POST", "/v1/completions")
    assert request.headers["authorization"] == "Bearer vLLM's key"
    assert request.headers["x-request-id"] == "r"
    assert request.headers["traceparent"] == "00-1-2-01"
    assert int(request.headers["content-length"]) == len(await request.body())
    assert request.state.of == "vLLM"


async def test_a_refusal_keeps_the_words_of_the_engine() -> None:
    with pytest.raises(EngineRefused, match="could not be loaded") as caught:
        await parts_of(inside(ScriptedEngine(refuses={"model-v1": 422}).app()))
    assert caught.value.status == 422


async def nothing(receive: Receive, send: Send) -> None:
    return


async def halfway(receive: Receive, send: Send) -> None:
    await send(said(PART))


async def fails(receive: Receive, send: Send) -> None:
    await send(said(PART))
    raise ValueError("a secret word")


async def is_silent(receive: Receive, send: Send) -> None:
    await send(said(PART))
    await sleep(9)


async def goes_on(receive: Receive, send: Send) -> None:
    while True:
        await send(said(PART))
        await sleep(0.01)


ENDS: list[tuple[Speak, type[EngineError], str]] = [
    (nothing, EngineAway, "ended its answer in the middle"),
    (halfway, EngineAway, "ended its answer in the middle"),
    (fails, BadAnswer, "the engine failed: ValueError$"),
    (is_silent, EngineSlow, "said nothing for too long"),
    (goes_on, AnswerTooLong, "longer than any may"),
]


@pytest.mark.parametrize(("speak", "error", "words"), ENDS)
async def test_bad_ends_are_told_apart(speak: Speak, error: type[EngineError], words: str) -> None:
    with pytest.raises(error, match=words):
        await parts_of(inside(saying(speak), silence=0.1, answer=0.3))


async def test_an_app_that_fails_before_it_answers_is_no_answer() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("a secret word")

    with pytest.raises(EngineError) as caught:
        await parts_of(inside(app))
    assert "secret" not in str(caught.value)


async def test_a_reader_who_stops_is_a_hang_up_for_the_app() -> None:
    ended: list[str] = []

    async def speak(receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "http.request"
        try:
            await send(said(PART))
            ended.append((await receive())["type"])
        except CancelledError:
            ended.append("cancelled")
            raise

    batches = inside(saying(speak)).answer(CHAT, "model-v1", BODY, "r")
    await anext(batches)
    assert ended == []
    await batches.aclose()
    assert ended == ["http.disconnect"]


async def test_an_app_that_waits_for_its_reader_is_told_that_they_left() -> None:
    ended: list[str] = []

    async def speak(receive: Receive, send: Send) -> None:
        await receive()
        for _ in range(2 * MOST_BLOCKS):
            await send(said(PART))
        ended.append((await receive())["type"])

    batches = inside(saying(speak)).answer(CHAT, "model-v1", BODY, "r")
    await anext(batches)
    for _ in range(4 * MOST_BLOCKS):
        await sleep(0)  # until it waits
    await batches.aclose()
    assert ended == ["http.disconnect"]


async def test_two_requests_at_once_have_a_state_of_their_own() -> None:
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["who"] = receive
        await sleep(0.01)
        seen.append(scope["state"]["who"] is receive)
        await Response(b"")(scope, receive, send)

    mine = inside(app)
    async with create_task_group() as group:
        for _ in range(2):
            group.start_soon(mine.get, "/metrics")
    assert seen == [True, True]


async def test_an_app_does_not_run_ahead_of_a_slow_reader() -> None:
    sent = 0

    async def speak(receive: Receive, send: Send) -> None:
        nonlocal sent
        for _ in range(10 * MOST_BLOCKS):
            await send(said(PART))
            sent += 1
        await send(said(b"data: [DONE]\n\n", more=False))

    async with aclosing(inside(saying(speak)).answer(CHAT, "model-v1", BODY, "r")) as batches:
        read = len(await anext(batches))
        for _ in range(20 * MOST_BLOCKS):
            await sleep(0)
        assert read <= sent <= 2 * MOST_BLOCKS + 2  # what was read, and as much again
        read += sum([len(batch) async for batch in batches])
    assert read == sent == 10 * MOST_BLOCKS


async def test_other_pages_of_the_app_can_be_read() -> None:
    scripted = ScriptedEngine()
    mine = inside(scripted.app())
    assert b"vllm:num_requests_running" in await mine.get("/metrics")
    await mine.check()
    scripted.healthy = False
    with pytest.raises(EngineAway, match="the engine's health is 503; expected 200"):
        await mine.check()
    with pytest.raises(EngineAway, match="the engine's nothing is 404; expected 200"):
        await mine.get("/nothing")


async def test_a_page_that_is_empty_is_empty() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response()(scope, receive, send)

    assert await inside(app).get("/metrics") == b""
