"""The routes: HTTP in, HTTP out. Knows nothing of how an answer comes about."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from feedback.events import BASE
from serving.apis import CHAT, TEXT, Api, Part
from serving.ask import (
    COMPARE_HEADER,
    CONVERSATION_HEADER,
    USER_HEADER,
    Ask,
    check_size,
    read_ask,
    read_object,
)
from serving.chat import FEEDBACK_TOKEN, Chat
from serving.compare import COMPARED, Compare
from serving.door import Caller, Door
from serving.errors import Forbidden, NoSplit, ServingError
from serving.metrics import CONTENT_TYPE, Metrics
from serving.openapi import document
from serving.rater import TOKEN_HEADER
from serving.table import Table
from serving.verdicts import KEY_HEADER, Verdicts
from serving.wire import Answer, json_response, read_body, respond

ADAPTER_HEADER = "x-thumbwheel-adapter"
COMPLETION_HEADER = "x-thumbwheel-completion"
_SCRIPT = Path(__file__).with_name("thumbwheel.js")
_SCRIPT_SECONDS = 3600  # for so long a browser need not ask for it again


class Engine(Protocol):
    async def check(self) -> None: ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class Parts:
    """What the routes need."""

    name: str
    door: Door
    chat: Chat
    compare: Compare
    verdicts: Verdicts
    engine: Engine
    table: Table
    metrics: Metrics
    max_body_bytes: int
    max_prompt_chars: int | None = None
    origins: tuple[str, ...] = ()  # of the pages that may send verdicts
    more_metrics: Callable[[], Awaitable[bytes]] | None = None  # of the server that we live in


def build(parts: Parts) -> Starlette:
    handlers = dict.fromkeys((ServingError, HTTPException, Exception), respond)
    routes = [
        *(Route(api.path, _Asked(parts, api), methods=["POST"]) for api in (CHAT, TEXT)),
        *_of_verdicts(parts),
        *_of_state(parts),
    ]

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await parts.engine.close()

    return Starlette(
        routes=routes,
        exception_handlers=handlers,
        middleware=_cors(parts.origins),
        lifespan=lifespan,
    )


@dataclass(frozen=True)
class _Asked:
    """An answer is asked for."""

    parts: Parts
    api: Api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts, request = self.parts, Request(scope, receive)
        caller = parts.door.caller(request.headers, "chat")
        raw = await read_body(request, parts.max_body_bytes)
        ask = read_ask(self.api, raw, request.headers, perf_counter(), caller.app)
        self._check(ask, caller)
        with parts.door.one_more(caller, ask.user):
            answer = (parts.compare if ask.compare else parts.chat).answer(ask)
            respond = Answer(answer, streams=ask.streams, headers=self._headers)
            await respond(scope, receive, send)

    def _check(self, ask: Ask, caller: Caller) -> None:
        if self.parts.max_prompt_chars is not None:
            check_size(ask, self.parts.max_prompt_chars)
        if ask.model != self.parts.name and not caller.may("admin"):
            raise Forbidden(
                f"model is {ask.model!r}; expected {self.parts.name!r}: to name an adapter "
                "takes a key for admin"
            )

    def _headers(self, first: Part) -> dict[str, str]:
        """Read off the answer itself: they cannot say anything else."""
        headers = {COMPLETION_HEADER: first["id"], TOKEN_HEADER: first[FEEDBACK_TOKEN]}
        if COMPARED in first:
            return headers | {COMPARE_HEADER: first[COMPARED]}
        adapter = BASE if first["model"] == self.parts.name else first["model"]
        return headers | {ADAPTER_HEADER: adapter}


def _of_verdicts(parts: Parts) -> list[Route]:
    Accept = Callable[[dict[str, Any], Mapping[str, str]], Awaitable[str]]

    def accepting(path: str, accept: Accept) -> Route:
        async def post(request: Request) -> Response:
            body = read_object(await read_body(request, parts.max_body_bytes))
            key = await accept(body, request.headers)
            return json_response({"id": key, "status": "accepted"}, HTTPStatus.ACCEPTED)

        return Route(path, post, methods=["POST"])

    async def script(_: Request) -> Response:
        headers = {"cache-control": f"max-age={_SCRIPT_SECONDS}"}
        return Response(_SCRIPT.read_bytes(), media_type="text/javascript", headers=headers)

    return [
        accepting("/v1/feedback", parts.verdicts.accept),
        accepting("/v1/comparisons", parts.verdicts.accept_comparison),
        Route("/thumbwheel.js", script),
    ]


def _of_state(parts: Parts) -> list[Route]:
    async def models(request: Request) -> Response:
        parts.door.caller(request.headers, "chat")
        names = [parts.name, *_adapters(parts.table)]
        cards = [
            {"id": name, "object": "model", "created": 0, "owned_by": "thumbwheel"}
            for name in names
        ]
        return json_response({"object": "list", "data": cards})

    async def healthz(_: Request) -> Response:
        return json_response({"status": "alive"})

    async def readyz(_: Request) -> Response:
        split = parts.table.current()
        await parts.engine.check()
        return json_response({"status": "ready", "split_revision": split.revision})

    async def metrics(_: Request) -> Response:
        page = parts.metrics.page()
        if parts.more_metrics:
            page += await parts.more_metrics()
        return Response(page, media_type=CONTENT_TYPE)

    async def openapi(_: Request) -> Response:
        return json_response(document(parts.name))

    routes = {
        "/v1/models": models,
        "/healthz": healthz,
        "/readyz": readyz,
        "/metrics": metrics,
        "/openapi.json": openapi,
    }
    return [Route(path, get) for path, get in routes.items()]


def _cors(origins: tuple[str, ...]) -> list[Middleware]:
    if not origins:
        return []
    ours = [COMPLETION_HEADER, TOKEN_HEADER, ADAPTER_HEADER, COMPARE_HEADER]
    asked = ["authorization", "content-type", KEY_HEADER, TOKEN_HEADER, USER_HEADER]
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=[*asked, CONVERSATION_HEADER, COMPARE_HEADER],
            expose_headers=[*ours, "retry-after"],
        )
    ]


def _adapters(table: Table) -> list[str]:
    try:
        split = table.current()
    except NoSplit:
        return []
    return [name for name in (split.stable, split.canary) if name and name != BASE]
