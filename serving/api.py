"""The routes: HTTP in, HTTP out. Knows nothing of how an answer comes about."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from feedback.events import BASE
from serving.ask import Part, read_ask, read_object
from serving.chat import Chat
from serving.engine import Engine
from serving.errors import NoSplit, ServingError
from serving.metrics import CONTENT_TYPE, Metrics
from serving.table import Table
from serving.verdicts import Verdicts
from serving.wire import Stream, json_response, read_body, respond, unless_closed

ADAPTER_HEADER = "x-thumbwheel-adapter"
COMPLETION_HEADER = "x-thumbwheel-completion"


@dataclass(frozen=True)
class Parts:
    """What the routes need."""

    name: str
    max_body_bytes: int
    chat: Chat
    verdicts: Verdicts
    engine: Engine
    table: Table
    metrics: Metrics


def build(parts: Parts) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await parts.engine.close()

    # No schema: a chat body is passed on as it comes, and what it may hold is for vLLM to say.
    app = FastAPI(title="Thumbwheel", lifespan=lifespan, openapi_url=None)
    for kind in (ServingError, HTTPException, Exception):
        app.add_exception_handler(kind, respond)
    _add_chat(app, parts)
    _add_feedback(app, parts)
    _add_state(app, parts)
    return app


def _add_chat(app: FastAPI, parts: Parts) -> None:
    @app.post("/v1/chat/completions")
    async def chat_completions(request: Request) -> Response:
        raw = await read_body(request, parts.max_body_bytes)
        ask = read_ask(raw, request.headers, perf_counter())
        answer = parts.chat.answer(ask)
        first = await unless_closed(request, anext(answer))
        headers = _headers(first, parts.name)
        if ask.streams:
            return Stream(first, answer, headers)
        async for _ in answer:  # no more comes; at its end it is remembered
            pass
        return json_response(first, headers=headers)

    @app.get("/v1/models")
    async def models() -> Response:
        names = [parts.name, *_adapters(parts.table)]
        cards = [
            {"id": name, "object": "model", "created": 0, "owned_by": "thumbwheel"}
            for name in names
        ]
        return json_response({"object": "list", "data": cards})


def _add_feedback(app: FastAPI, parts: Parts) -> None:
    @app.post("/v1/feedback")
    async def feedback(request: Request) -> Response:
        body = read_object(await read_body(request, parts.max_body_bytes))
        key = await parts.verdicts.accept(body, request.headers)
        return json_response({"id": key, "status": "accepted"}, HTTPStatus.ACCEPTED)


def _add_state(app: FastAPI, parts: Parts) -> None:
    @app.get("/healthz")
    async def healthz() -> Response:
        return json_response({"status": "alive"})

    @app.get("/readyz")
    async def readyz() -> Response:
        split = parts.table.current()
        await parts.engine.check()
        return json_response({"status": "ready", "split_revision": split.revision})

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(parts.metrics.page(), media_type=CONTENT_TYPE)


def _headers(first: Part, name: str) -> dict[str, str]:
    """Read off the engine's own answer: they cannot say anything else."""
    adapter = BASE if first["model"] == name else first["model"]
    return {ADAPTER_HEADER: adapter, COMPLETION_HEADER: first["id"]}


def _adapters(table: Table) -> list[str]:
    try:
        split = table.current()
    except NoSplit:
        return []
    return [name for name in (split.stable, split.canary) if name and name != BASE]
