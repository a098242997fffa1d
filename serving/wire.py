"""How bodies come in and answers go out: limits, streams, hang-ups, errors.

Knows nothing of what is said in them.
"""

from asyncio import CancelledError, Task, create_task, current_task, get_running_loop
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serving.apis import Part
from serving.errors import BadRequest, ServingError, TooLarge, body_of, error_body, headers_of

_JSON = "application/json"
_LISTEN_SECONDS = 0.002
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
        listener = _Listener(receive)
        try:
            try:
                await (self._stream(send) if self._streams else self._whole(send))
            finally:
                await self._parts.aclose()
        except CancelledError:
            if not listener.heard:
                raise  # not by the reader: the server ends
            listener.speaking.uncancel()
        finally:
            listener.stop()

    async def _whole(self, send: Send) -> None:
        (first,) = await anext(self._parts)
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


class _Listener:
    """Ends the task that makes it when its reader hangs up."""

    def __init__(self, receive: Receive) -> None:
        speaking = current_task()
        assert speaking is not None
        self.speaking, self.heard = speaking, False
        self._receive = receive
        self._listening: Task[None] | None = None
        # While the engine works: before that it would only keep the engine waiting.
        self._soon = get_running_loop().call_later(_LISTEN_SECONDS, self._listen)

    def stop(self) -> None:
        self._soon.cancel()
        if self._listening:
            self._listening.cancel()

    def _listen(self) -> None:
        self._listening = create_task(self._hung_up())

    async def _hung_up(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.heard = True
        self.speaking.cancel()


def json_response(
    body: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(to_json(body), status, headers, media_type=_JSON)


def read_headers(scope: Scope) -> dict[str, str]:
    """Their names in lower case. Of those that come twice the first holds."""
    raw = reversed(scope["headers"])
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}


async def read_body(receive: Receive, max_bytes: int) -> bytes:
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":  # nobody is there to hear it
            raise BadRequest("the body broke off")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > max_bytes:
            raise TooLarge(f"the body has more than {max_bytes} bytes, the most that is read")
    return bytes(body)


def error_response(error: Exception) -> Response:
    """The one place where an error becomes a response."""
    if isinstance(error, ServingError):
        return json_response(body_of(error), error.status, headers_of(error))
    return json_response(error_body("internal error", "server_error"), 500)
