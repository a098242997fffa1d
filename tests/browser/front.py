"""A real address for an app, that can be away, fail or be slow, and tells what it heard."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import anyio
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.free import free_port


@dataclass(frozen=True)
class Heard:
    """One POST that was answered."""

    path: str
    said: dict[str, Any]
    status: int


@dataclass
class Front:
    """Like a proxy, it asks the app nothing for somebody who has hung up."""

    app: ASGIApp
    origin: str
    port: int = field(default_factory=free_port)
    heard: list[Heard] = field(default_factory=list)
    arrived: int = 0
    slow_seconds: float = 0
    fails: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    _server: uvicorn.Server | None = None
    _thread: Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def accepted(self) -> list[dict[str, Any]]:
        return [heard.said for heard in self.heard if heard.status == 202]

    def fail(self, status: int, times: int = 1, **headers: str) -> None:
        """The next POSTs are answered so."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        self.fails += [(status, told)] * times

    def back(self) -> None:
        config = uvicorn.Config(
            self, port=self.port, ws="none", log_level="error", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.005)

    def away(self) -> None:
        """Connections are refused."""
        if self._server and self._thread:
            self._server.should_exit = True
            self._thread.join()
            self._server = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        slow_seconds = self.slow_seconds
        self.arrived += 1
        body = await Request(scope, receive).body()
        if not await _hung_up(receive, slow_seconds):
            await self._answer(scope, body, send)

    async def _answer(self, scope: Scope, body: bytes, send: Send) -> None:
        async def replayed() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.heard.append(Heard(scope["path"], json.loads(body), message["status"]))
            await send(message)

        await (self._failure() or self.app)(scope, replayed, watched)

    def _failure(self) -> Response | None:
        if not self.fails:
            return None
        status, headers = self.fails.pop(0)
        cors = {
            "access-control-allow-origin": self.origin,
            "access-control-expose-headers": "retry-after",
        }
        return Response("it is not the gateway that says this", status, headers | cors)


async def _hung_up(receive: Receive, within_seconds: float) -> bool:
    with anyio.move_on_after(within_seconds):
        message = await receive()
        return bool(message["type"] == "http.disconnect")
    return False


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "waited 20 seconds in vain"
        time.sleep(0.01)
