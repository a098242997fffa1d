"""How bodies come in and answers go out: limits, streams, hang-ups, errors.

Knows nothing of what is said in them.
"""

from asyncio import FIRST_COMPLETED, create_task, ensure_future, wait
from collections.abc import AsyncGenerator, Awaitable, Mapping
from typing import Any, TypeVar

from anyio import CancelScope
from fastapi import Request, Response
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from serving.ask import Part
from serving.errors import ClientClosed, ServingError, TooLarge, body_of, error_body

# Proxies on the way must hand on each event as it comes.
_STREAM_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}
T = TypeVar("T")


class Stream(StreamingResponse):
    """Server-sent events. However the response ends, the answer behind it is closed."""

    def __init__(self, first: Part, rest: AsyncGenerator[Part], headers: dict[str, str]) -> None:
        self._rest, self._events = rest, _events(first, rest)
        super().__init__(
            self._events, media_type="text/event-stream", headers=headers | _STREAM_HEADERS
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            # Both: events that were never begun would leave the answer open.
            with CancelScope(shield=True):
                await self._events.aclose()
                await self._rest.aclose()


async def _events(first: Part, rest: AsyncGenerator[Part]) -> AsyncGenerator[bytes]:
    try:
        yield _event(first)
        async for part in rest:
            yield _event(part)
        yield b"data: [DONE]\n\n"
    except ServingError as error:  # too late for a status
        yield _event(body_of(error))


def _event(part: Part) -> bytes:
    return b"data: %s\n\n" % to_json(part)


def json_response(
    body: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(to_json(body), status, headers, media_type="application/json")


async def read_body(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > max_bytes:
            raise TooLarge(f"the body has more than {max_bytes} bytes, the most that is read")
    return bytes(body)


async def unless_closed(request: Request, work: Awaitable[T]) -> T:
    """The result of `work`, which is given up when its client hangs up."""
    working, closing = ensure_future(work), create_task(_closed(request))
    try:
        await wait((working, closing), return_when=FIRST_COMPLETED)
        if not working.done():
            raise ClientClosed("the client has closed the connection")
        return working.result()
    finally:
        closing.cancel()
        if working.cancel():
            await wait((working,))  # until it has cleaned up behind itself


async def _closed(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def respond(_: Request, error: Exception) -> Response:
    """The one place where an error becomes a response."""
    if isinstance(error, ServingError):
        return json_response(body_of(error), error.status)
    if isinstance(error, HTTPException):  # the framework's own: no such path, no such method
        body = error_body(error.detail, "invalid_request_error", code=error.status_code)
        return json_response(body, error.status_code, error.headers)
    # Our own fault: the server logs it with its traceback.
    return json_response(error_body("internal error", "server_error"), 500)
