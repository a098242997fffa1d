"""A client that costs little, so that what is measured is the server."""

import asyncio
from dataclasses import dataclass, field
from time import perf_counter
from typing import cast

import httptools


@dataclass(slots=True)
class Answer:
    """What came back, and when, on the clock of `time.perf_counter`."""

    status: int = 0
    first_at: float = 0.0  # the first bytes of the body
    ended_at: float = 0.0
    blocks: list[bytes] = field(default_factory=list)


class Client:
    """Asks one server of this machine, on connections that stay open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[_Connection] = []

    async def ask(self, request: bytes, answer: Answer) -> None:
        """Fills `answer` while it comes: who gives up has what had come until then."""
        connection = self._open() or await self._new()
        await connection.ask(request, answer)
        self._idle.append(connection)

    def close(self) -> None:
        while connection := self._open():
            connection.close()

    def _open(self) -> "_Connection | None":
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed:
                return connection
        return None

    async def _new(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(_Connection, "127.0.0.1", self._port))[1]


class _Connection(asyncio.Protocol):
    _transport: asyncio.Transport
    _ended: asyncio.Future[None]

    def __init__(self) -> None:
        self.closed = False
        self._parser = httptools.HttpResponseParser(self)
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._answer = Answer()

    def ask(self, request: bytes, answer: Answer) -> asyncio.Future[None]:
        self._ended = self._loop.create_future()
        self._answer = answer
        self._transport.write(request)
        return self._ended

    def close(self) -> None:
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its type

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if not self._ended.done():
            self._ended.set_exception(error or ConnectionResetError("it was closed"))
            self._ended.exception()  # nobody waits for one that was never asked

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, block: bytes) -> None:
        if not self._answer.blocks:
            self._answer.first_at = perf_counter()
        self._answer.blocks.append(block)

    def on_message_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()
        self._answer.ended_at = perf_counter()
        if not self._parser.should_keep_alive():
            self.closed = True
            self._transport.close()
        if not self._ended.done():
            self._ended.set_result(None)
