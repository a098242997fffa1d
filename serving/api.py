"""The routes: HTTP in, HTTP out. Knows nothing of how an answer comes about."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from typing import Any

from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

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
from serving.errors import Forbidden
from serving.metrics import Metrics
from serving.paths import Handler, Paths, replying
from serving.rater import TOKEN_HEADER
from serving.state import Engine, State
from serving.table import Table
from serving.verdicts import KEY_HEADER, Verdicts
from serving.wire import Answer, json_response, read_body, read_headers

ADAPTER_HEADER = "x-thumbwheel-adapter"
COMPLETION_HEADER = "x-thumbwheel-completion"


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


def build(parts: Parts) -> ASGIApp:
    paths = Paths(handlers(parts), parts.engine.close)
    return _with_cors(paths, parts.origins) if parts.origins else paths


def handlers(parts: Parts) -> dict[str, Handler]:
    asked = {api.path: Handler("POST", _Asked(parts, api)) for api in (CHAT, TEXT)}
    state = State(
        parts.name, parts.door, parts.engine, parts.table, parts.metrics, parts.more_metrics
    )
    return asked | _of_verdicts(parts) | state.handlers()


@dataclass(frozen=True)
class _Asked:
    """An answer is asked for."""

    parts: Parts
    api: Api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts, headers = self.parts, read_headers(scope)
        caller = parts.door.caller(headers, "chat")
        raw = await read_body(receive, parts.max_body_bytes)
        ask = read_ask(self.api, raw, headers, perf_counter(), caller.app)
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


def _of_verdicts(parts: Parts) -> dict[str, Handler]:
    Accept = Callable[[dict[str, Any], Mapping[str, str]], Awaitable[str]]

    def accepting(accept: Accept) -> Handler:
        async def reply(headers: Mapping[str, str], receive: Receive) -> Response:
            body = read_object(await read_body(receive, parts.max_body_bytes))
            key = await accept(body, headers)
            return json_response({"id": key, "status": "accepted"}, HTTPStatus.ACCEPTED)

        return replying("POST", reply)

    return {
        "/v1/feedback": accepting(parts.verdicts.accept),
        "/v1/comparisons": accepting(parts.verdicts.accept_comparison),
    }


def _with_cors(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    ours = [COMPLETION_HEADER, TOKEN_HEADER, ADAPTER_HEADER, COMPARE_HEADER]
    asked = ["authorization", "content-type", KEY_HEADER, TOKEN_HEADER, USER_HEADER]
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=[*asked, CONVERSATION_HEADER, COMPARE_HEADER],
        expose_headers=[*ours, "retry-after"],
    )
