"""The gateway inside vLLM's server: what is ours, what is vLLM's, and who may ask for that."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio import create_memory_object_stream, create_task_group, sleep
from anyio.lowlevel import checkpoint
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Message
from starlette.websockets import WebSocket

from serving.middleware import Middleware
from tests.serving.gateway import MESSAGES, key_of, keys_for, settings_for
from tests.serving.scripted import ScriptedEngine

pytestmark = pytest.mark.anyio
ADMIN, CHAT = 'scopes = ["admin"]', 'scopes = ["chat"]'


def vllm(scripted: ScriptedEngine) -> Starlette:
    """More than a scripted engine: it has pages of its own, some with our names."""

    async def echo(request: Request) -> Response:
        return PlainTextResponse(f"vLLM: {request.method} {request.url.path}")

    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    app = scripted.app()
    for path in ("/v1/models", "/v1/embeddings", "/version", "/ping", "/openapi.json"):
        app.routes.append(Route(path, echo, methods=["GET", "POST"]))
    app.routes.append(WebSocketRoute("/v1/realtime", talk))
    return app


@asynccontextmanager
async def living(app: Middleware) -> AsyncIterator[list[Message]]:
    """It has started, and is told to end; what it said of both."""
    tell, hear = create_memory_object_stream[Message](2)
    say, listen = create_memory_object_stream[Message](2)
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}}
    async with create_task_group() as group, tell, hear, say, listen:
        group.start_soon(app, scope, hear.receive, say.send)
        await tell.send({"type": "lifespan.startup"})
        said = [await listen.receive()]
        yield said
        await tell.send({"type": "lifespan.shutdown"})
        said.append(await listen.receive())


Started = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def inside(tmp_path: Path) -> Started:
    @asynccontextmanager
    async def started(**more: Any) -> AsyncIterator[httpx.AsyncClient]:
        settings = settings_for(tmp_path, "http://x", serving_first_stable="model-v1", **more)
        app = Middleware(vllm(ScriptedEngine()), settings)
        async with living(app) as said:
            assert [one["type"] for one in said] == ["lifespan.startup.complete"]
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://it") as http:
                while not (await http.get("/readyz")).is_success:  # noqa: ASYNC110 (a thread tells)
                    await sleep(0.005)
                yield http
        assert said[-1]["type"] == "lifespan.shutdown.complete"

    return started


async def chat(http: httpx.AsyncClient, **headers: str) -> httpx.Response:
    body = {"model": "model", "messages": MESSAGES}
    return await http.post("/v1/chat/completions", json=body, headers=headers)


async def test_what_is_ours_is_answered_here_and_all_else_by_vllm(inside: Started) -> None:
    async with inside() as http:
        answer = await chat(http)
        assert answer.headers["x-thumbwheel-adapter"] == answer.json()["model"] == "model-v1"
        models = (await http.get("/v1/models")).json()["data"]
        assert [one["id"] for one in models] == ["model", "model-v1"]
        assert "/v1/feedback" in (await http.get("/openapi.json")).json()["paths"]
        assert (await http.post("/v1/embeddings")).text == "vLLM: POST /v1/embeddings"
        assert (await http.get("/v1/nothing")).text == "Not Found"
        assert (await http.get("/v1/chat/completions")).status_code == 405


async def test_with_keys_the_rest_of_vllm_is_for_admins_and_probes_need_none(
    inside: Started, tmp_path: Path
) -> None:
    keys = keys_for(tmp_path, boss=ADMIN, shop=CHAT)
    async with inside(serving_keys=keys) as http:
        for headers, status in (({}, 401), (key_of("shop"), 403), (key_of("boss"), 200)):
            response = await http.post("/v1/embeddings", headers=headers)
            assert response.status_code == status
            assert status == 200 or response.json()["error"]["type"] == "invalid_request_error"
        for path in ("/health", "/ping", "/version", "/healthz", "/readyz", "/metrics"):
            assert (await http.get(path)).status_code == 200
        assert (await chat(http)).status_code == 401
        assert (await chat(http, **key_of("shop"))).status_code == 200


async def test_without_a_file_the_key_of_vllm_is_asked_for_and_may_do_all(inside: Started) -> None:
    async with inside(engine_key="vLLM's own") as http:
        verdict = {"completion_id": "chatcmpl-1", "thumb": "up"}
        for path in ("/v1/chat/completions", "/v1/feedback", "/v1/embeddings"):
            assert (await http.post(path, json=verdict)).status_code == 401
        assert (await chat(http, authorization="Bearer another")).status_code == 401
        own = {"authorization": "Bearer vLLM's own"}
        assert (await chat(http, **own)).status_code == 200
        assert (await http.post("/v1/embeddings", headers=own)).status_code == 200
        assert (await http.options("/v1/embeddings")).status_code == 405  # vLLM's own word
        token = (await chat(http, **own)).json()["feedback_token"]
        assert (await http.post("/v1/feedback", json={"token": token, "thumb": "up"})).is_success


@pytest.mark.parametrize("headers", [{}, key_of("shop")], ids=["no key", "a key for chats"])
async def test_with_keys_no_socket_leads_past_the_door(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    settings = settings_for(tmp_path, "http://x", serving_keys=keys_for(tmp_path, shop=CHAT))
    app = Middleware(vllm(ScriptedEngine()), settings)
    said: list[str] = []

    async def send(message: Message) -> None:
        said.append(message["type"])

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "websocket", "path": "/v1/realtime", "headers": raw, "query_string": b""}
    async with living(app):
        await app(scope, receive, send)
    assert "websocket.accept" not in said


async def test_one_page_has_the_numbers_of_both(inside: Started) -> None:
    async with inside() as http:
        await chat(http)
        await checkpoint()  # it is counted right after it is sent
        page = (await http.get("/metrics")).text.splitlines()
    assert "vllm:num_requests_running 0.0" in page
    requests = 'thumbwheel_serving_requests_total{adapter="model-v1",outcome="ok"} 1.0'
    assert requests in page
    assert 'thumbwheel_serving_engine_up{engine="inside"} 1.0' in page


WRONG = [
    ({"THUMBWHEEL_SECRET": "short"}, "settings: secret: Value should have at least 8 characters"),
    ({"THUMBWHEEL_SERVING_KEYS": "/nowhere.toml"}, "settings: the file of keys '/nowhere.toml'"),
    ({"THUMBWHEEL_SERVING_TOKEN_KEYS": "0:short"}, "settings: serving_token_keys: expected ID:KEY"),
    ({"THUMBWHEEL_SERVING_ORIGINS": "app"}, "settings: serving_origins: 'app' is no address"),
]


@pytest.mark.parametrize(("wrong", "complaint"), WRONG)
async def test_settings_that_do_not_hold_end_the_start_with_a_message(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    wrong: dict[str, str],
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("THUMBWHEEL_SECRET", "long enough")
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    seen: list[str] = []

    async def never(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    said: list[Message] = []

    async def send(message: Message) -> None:
        said.append(message)

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    await Middleware(never)({"type": "lifespan"}, receive, send)
    assert [one["type"] for one in said] == ["lifespan.startup.failed"]
    assert complaint in capsys.readouterr().err
    assert seen == []
