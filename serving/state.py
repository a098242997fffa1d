"""What the server tells of itself: its models, its health, its numbers, its document."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive

from feedback.events import BASE
from serving.door import Door
from serving.errors import NoSplit
from serving.metrics import CONTENT_TYPE, Metrics
from serving.openapi import document
from serving.paths import Handler, replying
from serving.table import Table
from serving.wire import json_response

_SCRIPT = Path(__file__).with_name("thumbwheel.js")
_SCRIPT_SECONDS = 3600  # for so long a browser need not ask for it again
Headers = Mapping[str, str]


class Engine(Protocol):
    async def check(self) -> None: ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class State:
    name: str
    door: Door
    engine: Engine
    table: Table
    metrics: Metrics
    more_metrics: Callable[[], Awaitable[bytes]] | None = None

    def handlers(self) -> dict[str, Handler]:
        told = {
            "/v1/models": self._models,
            "/healthz": self._alive,
            "/readyz": self._ready,
            "/metrics": self._numbers,
            "/openapi.json": self._document,
            "/thumbwheel.js": self._script,
        }
        return {path: replying("GET", reply) for path, reply in told.items()}

    async def _models(self, headers: Headers, _: Receive) -> Response:
        self.door.caller(headers, "chat")
        cards = [
            {"id": name, "object": "model", "created": 0, "owned_by": "thumbwheel"}
            for name in (self.name, *_adapters(self.table))
        ]
        return json_response({"object": "list", "data": cards})

    async def _alive(self, _: Headers, __: Receive) -> Response:
        return json_response({"status": "alive"})

    async def _ready(self, _: Headers, __: Receive) -> Response:
        split = self.table.current()
        await self.engine.check()
        return json_response({"status": "ready", "split_revision": split.revision})

    async def _numbers(self, _: Headers, __: Receive) -> Response:
        page = self.metrics.page()
        if self.more_metrics:
            page += await self.more_metrics()
        return Response(page, media_type=CONTENT_TYPE)

    async def _document(self, _: Headers, __: Receive) -> Response:
        return json_response(document(self.name))

    async def _script(self, _: Headers, __: Receive) -> Response:
        headers = {"cache-control": f"max-age={_SCRIPT_SECONDS}"}
        return Response(_SCRIPT.read_bytes(), media_type="text/javascript", headers=headers)


def _adapters(table: Table) -> list[str]:
    try:
        split = table.current()
    except NoSplit:
        return []
    return [name for name in (split.stable, split.canary) if name and name != BASE]
