"""An engine that is about to be stopped takes nothing new: another one can answer.

vLLM itself goes on taking requests until it has ended those that it has, and breaks them off.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

_Message = MutableMapping[str, Any]
_Send = Callable[[_Message], Awaitable[None]]

_SAID = {"message": "this engine is being stopped", "type": "engine_error", "code": "leaving"}
_BODY = json.dumps({"error": {**_SAID, "param": None}}).encode()
_HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", str(len(_BODY)).encode()),
    (b"retry-after", b"1"),
    (b"connection", b"close"),  # what comes next is to find another one
]


class Leaving:
    """Refuses each POST with 503, once the file is there, and not older than `since`."""

    def __init__(self, app: Any, told: Path, since: float) -> None:
        self._app, self._told, self._since = app, told, since

    async def __call__(self, scope: _Message, receive: Any, send: _Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and self._is_told():
            await _refuse(send)
        else:
            await self._app(scope, receive, send)

    def _is_told(self) -> bool:
        try:
            return self._told.stat().st_mtime >= self._since
        except OSError:
            return False


async def _refuse(send: _Send) -> None:
    status = HTTPStatus.SERVICE_UNAVAILABLE
    await send({"type": "http.response.start", "status": status, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _BODY})
