"""How bodies come in and answers go out: limits, streams, hang-ups, errors.

Knows nothing of what is said in them.
"""

from asyncio import CancelledError, Task, create_task, current_task
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serving.apis import Part
from serving.errors import BadRequest, ServingError, TooLarge, body_of, error_body, headers_of

_JSON = "application/json"
# Proxies on the way must hand on each event as it comes.
_STREAM_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}


class Answer:
    """An answer as a response: server-sent events, or whole. Whoever hangs up ends it.

    Not Starlette's own: that one starts before the first part is there, and takes a task more.
    """

    def __init__(
        self,
        parts: AsyncGenerator[list[Part]],
        *,
        streams: bool,
        headers: Callable[[Part], dict[str, str]],
    ) -> None:
        self._parts, self._streams, self._headers = parts, streams, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        speaking, listening = current_task(), create_task(_hung_up(receive))
        assert speaking is not None

        def give_up(listened: Task[None]) -> None:
            if not listened.cancelled():
                speaking.cancel()

        listening.add_done_callback(give_up)
        try:
            async with aclosing(self._parts):
                await (self._stream(send) if self._streams else self._whole(send))
        except CancelledError:
            if not listening.done() or listening.cancelled():
                raise  # not by the reader: the server ends
            speaking.uncancel()
        finally:
            listening.remove_done_callback(give_up)
            listening.cancel()

    async def _whole(self, send: Send) -> None:
        (first,) = await anext(self._parts)
        async for _ in self._parts:  # no more comes; at its end it is remembered
            pass
        body = to_json(first)
        length = {"content-type": _JSON, "content-length": str(len(body))}
        await _start(send, length | self._headers(first))
        await _say(send, body, more=False)

    async def _stream(self, send: Send) -> None:
        batch = await anext(self._parts)
        await _start(send, _STREAM_HEADERS | self._headers(batch[0]))
        end = b"data: [DONE]\n\n"
        try:
            await _say(send, _events(batch))
            async for batch in self._parts:
                await _say(send, _events(batch))
        except ServingError as error:  # too late for a status
            end = _events([body_of(error)])
        await _say(send, end, more=False)


async def _start(send: Send, headers: Mapping[str, str]) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": raw})


async def _say(send: Send, body: bytes, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


def _events(batch: list[Part]) -> bytes:
    return b"".join([b"data: %s\n\n" % to_json(part) for part in batch])


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def json_response(
    body: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(to_json(body), status, headers, media_type=_JSON)


async def read_body(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    try:
        async for block in request.stream():
            body += block
            if len(body) > max_bytes:
                raise TooLarge(f"the body has more than {max_bytes} bytes, the most that is read")
    except ClientDisconnect as error:  # nobody is there to hear it
        raise BadRequest("the body broke off") from error
    return bytes(body)


async def respond(_: Request, error: Exception) -> Response:
    """The one place where an error becomes a response."""
    if isinstance(error, ServingError):
        return json_response(body_of(error), error.status, headers_of(error))
    if isinstance(error, HTTPException):  # the framework's own: no such path, no such method
        body = error_body(error.detail, "invalid_request_error", code=error.status_code)
        return json_response(body, error.status_code, error.headers)
    # Our own fault: the server logs it with its traceback.
    return json_response(error_body("internal error", "server_error"), 500)
