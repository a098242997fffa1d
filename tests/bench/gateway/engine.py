"""An engine that answers as vLLM does and costs nearly nothing, in a process of its own.

`python -m tests.bench.gateway.engine PORT`. A request's `max_tokens` is how many it gets, its
`seed` the microseconds before each of them in a stream; whole answers come at once.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from typing import Any, cast

import httptools
import uvloop

from tests.bench.gateway.answers import DONE, Shape, chunks, head, whole

_JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_EVENTS = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


class Connection(asyncio.Protocol):
    """One client, one request after the other."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._loop = asyncio.get_running_loop()
        self._path = self._name = b""
        self._body = bytearray()
        self._rest: Iterator[bytes] | None = None  # what a stream that had to wait has still to say
        self._pause_seconds, self._held = 0.0, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its type

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def pause_writing(self) -> None:
        self._held = True

    def resume_writing(self) -> None:
        self._held = False
        if self._rest:
            self._loop.call_soon(self._speak)

    def on_message_begin(self) -> None:
        self._body.clear()
        self._name = b""

    def on_url(self, url: bytes) -> None:
        self._path = url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-request-id":
            self._name = value

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._path == b"/health":
            self._transport.write(_JSON % 0)
        elif self._path == b"/v1/chat/completions":
            self._answer(json.loads(self._body))
        else:
            self._transport.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")

    def _answer(self, asked: dict[str, Any]) -> None:
        shape = Shape(
            tokens=asked["max_tokens"],
            ids=bool(asked.get("return_token_ids")),
            logprobs=bool(asked.get("logprobs")),
        )
        name = f"chatcmpl-{self._name.decode() or f'{id(asked):032x}'}"
        if not asked.get("stream"):
            said = head("chat.completion", name, asked["model"]) + whole(shape)
            self._transport.write(_JSON % len(said) + said)
            return
        self._transport.write(_EVENTS)
        self._pause_seconds = (asked.get("seed") or 0) / 1_000_000
        self._rest = _events(shape, head("chat.completion.chunk", name, asked["model"]))
        self._speak()

    def _speak(self) -> None:
        """One chunk, as from one step of vLLM; the next one in a later turn of the loop."""
        if self._held or self._rest is None or self._transport.is_closing():
            return
        event = next(self._rest, None)
        if event is None:
            self._rest = None
            self._transport.write(b"0\r\n\r\n")
            return
        self._transport.write(b"%x\r\n%b\r\n" % (len(event), event))
        if self._pause_seconds:
            self._loop.call_later(self._pause_seconds, self._speak)
        else:
            self._loop.call_soon(self._speak)


def _events(shape: Shape, start: bytes) -> Iterator[bytes]:
    for tail in chunks(shape):
        yield b"data: %b%b\n\n" % (start, tail)
    yield DONE


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
