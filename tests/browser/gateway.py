"""What thumbwheel.js expects of a gateway, and no more: three routes, over tokens of its own."""

import json
from itertools import count
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

SCRIPT = Path(__file__).parents[2] / "serving/thumbwheel.js"
_numbers = count(1)


def token() -> str:
    """As an app's backend gets one with an answer."""
    return f"good-{next(_numbers)}"


def pair() -> str:
    """The same for two answers side by side."""
    return f"pair-{next(_numbers)}"


STALE = "stale-1"
TOO_OLD = "token is 'stale-1'; expected one of the last 30 days"


def build(origin: str) -> Starlette:
    """Pages of this origin may ask."""
    cors = Middleware(
        CORSMiddleware,
        allow_origins=[origin],
        allow_methods=["POST"],
        allow_headers=["content-type"],
        expose_headers=["retry-after"],
    )
    routes = [
        Route("/v1/feedback", _accept, methods=["POST"]),
        Route("/v1/comparisons", _accept, methods=["POST"]),
        Route("/thumbwheel.js", _script),
    ]
    return Starlette(routes=routes, middleware=[cors])


async def _accept(request: Request) -> Response:
    said: dict[str, Any] = json.loads(await request.body())
    if said["token"] == STALE:
        return _refusal(403, TOO_OLD)
    compares = request.url.path.endswith("/comparisons")
    if compares != said["token"].startswith("pair-"):
        return _refusal(422, f"token is {said['token']!r}; expected one of another kind")
    kinds = {"winner"} if compares else KINDS
    if len(said.keys() & kinds) != 1 or said.keys() - kinds - {"token", "comment", "key"}:
        return _refusal(422, f"the verdict has {sorted(said)}; expected one of {sorted(kinds)}")
    return JSONResponse({"id": said["key"], "status": "accepted"}, 202)


KINDS = {"thumb", "correction", "outcome", "retract"}


def _refusal(status: int, message: str) -> Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return JSONResponse({"error": error}, status)


async def _script(request: Request) -> Response:
    return FileResponse(
        SCRIPT, media_type="text/javascript", headers={"cache-control": "max-age=3600"}
    )
