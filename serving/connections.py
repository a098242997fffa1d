"""HTTP/1.1 to one server: connections that are kept, and answers as they come.

In place of a library's client, which takes longer for a request than all else that we do for it.
Knows nothing of vLLM, and of HTTP only what asking it takes: no redirects, no cookies, no proxies.
"""

import ssl
from asyncio import (
    BaseTransport,
    Future,
    Protocol,
    TimerHandle,
    Transport,
    get_running_loop,
    wait_for,
)
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser

from serving.errors import AnswerTooLong, BadAnswer, EngineAway, EngineError, EngineSlow

CONNECT_SECONDS = 2.0
# Below vLLM's own 5 s: a connection that the engine is about to close must not be used again.
KEEPALIVE_SECONDS = 2.0
MOST_WAITING_BYTES = 128 * 1024  # of an answer that its reader does not take


@dataclass(frozen=True)
class Patience:
    silence_seconds: float  # between two signs of life
    answer_seconds: float  # until the end of an answer


class Connections:
    """`headers`: those of every request, by their names."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        at = urlsplit(url)
        self._place = at.hostname or "", at.port or (443 if at.scheme == "https" else 80)
        self._tls = ssl.create_default_context() if at.scheme == "https" else None
        self._path = at.path.rstrip("/")
        self._head = _lines({"host": at.netloc.rpartition("@")[2]} | headers)
        self._idle: list[Connection] = []
        self._sweeps: TimerHandle | None = None

    def get(self, path: str, patience: Patience) -> "Exchange":
        return Exchange(self, f"GET {self._path}{path} HTTP/1.1\r\n{self._head}\r\n", b"", patience)

    def post(
        self, path: str, body: bytes, headers: dict[str, str], patience: Patience
    ) -> "Exchange":
        more = _lines(headers | {"content-length": str(len(body))})
        head = f"POST {self._path}{path} HTTP/1.1\r\n{self._head}{more}\r\n"
        return Exchange(self, head, body, patience)

    async def take(self) -> "Connection":
        """One that was left open, or a new one."""
        now = get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if connection.may_be_used_at(now):
                return connection
            connection.close()
        host, port = self._place
        opening = get_running_loop().create_connection(Connection, host, port, ssl=self._tls)
        try:
            _, connection = await wait_for(opening, CONNECT_SECONDS)
        except TimeoutError as error:
            said = f"the engine took no connection in {CONNECT_SECONDS:g} s"
            raise EngineAway(said) from error
        except OSError as error:
            raise away(error) from error
        return connection

    def give_back(self, connection: "Connection") -> None:
        if not connection.is_free:
            connection.close()
            return
        self._idle.append(connection)
        if self._sweeps is None:
            self._sweep_later()

    def close(self) -> None:
        if self._sweeps:
            self._sweeps.cancel()
        while self._idle:
            self._idle.pop().close()

    def _sweep_later(self) -> None:
        self._sweeps = get_running_loop().call_later(KEEPALIVE_SECONDS, self._sweep)

    def _sweep(self) -> None:
        now, self._sweeps = get_running_loop().time(), None
        old = [one for one in self._idle if not one.may_be_used_at(now)]
        self._idle = [one for one in self._idle if one not in old]
        for one in old:
            one.close()
        if self._idle:
            self._sweep_later()


class Exchange:
    """A request, and while it lasts the connection on which its answer comes."""

    def __init__(
        self, connections: Connections, head: str, body: bytes, patience: Patience
    ) -> None:
        self._connections, self._patience = connections, patience
        self._request = head.encode("latin-1") + body

    async def __aenter__(self) -> "Connection":
        self._connection = await self._connections.take()
        try:
            await self._connection.ask(self._request, self._patience)
        except BaseException:
            self._connection.close()
            raise
        return self._connection

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._connections.give_back(self._connection)


class Connection(Protocol):
    """One answer after the other. The methods without an underscore that nobody here calls are
    asyncio's and the parser's."""

    def __init__(self) -> None:
        self._loop = get_running_loop()
        self._transport: Transport | None = None
        self._trouble: EngineError | None = None
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._parser = HttpResponseParser(self)
        self.status = 0  # once the head of the answer is there
        self._blocks: list[bytes] = []
        self._waiting_bytes = 0
        self._paused = self._complete = self._kept = self._measured = False
        self._wakes: Future[None] | None = None
        self._look: TimerHandle | None = None

    async def ask(self, request: bytes, patience: Patience) -> Self:
        """Until the head of the answer is there."""
        assert self._transport is not None
        self._begin_anew()
        self._heard, self._patience = self._loop.time(), patience
        self._ends = self._heard + patience.answer_seconds
        self._look_again()
        self._transport.write(request)
        while not self.status:
            await self._news()
        return self

    async def some(self) -> bytes:
        """What has come since; nothing at the end of the answer."""
        while not self._blocks and not self._complete:
            await self._news()
        found = b"".join(self._blocks)
        self._blocks.clear()
        self._waiting_bytes = 0
        if self._paused:
            self._pause(False)
        return found

    async def all(self) -> bytes:
        found = bytearray()
        while block := await self.some():
            found += block
        return bytes(found)

    @property
    def is_free(self) -> bool:
        """Its answer was read whole, and the server leaves it open."""
        return self._complete and self._kept and not self._blocks and self._trouble is None

    def may_be_used_at(self, now: float) -> bool:
        return self._trouble is None and now - self._heard < KEEPALIVE_SECONDS

    def close(self) -> None:
        self._end()
        if self._transport is not None:
            self._transport.abort()  # the server is to notice at once

    def connection_made(self, transport: BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # as asyncio says it

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._fail(BadAnswer(f"the engine said {data[:80]!r}; expected HTTP: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        if self.status and not self._measured:
            self.on_message_complete()  # that is how an answer without a length ends
        self._fail(away(exc or ConnectionResetError()))

    def on_message_begin(self) -> None:
        if self._complete:
            raise ValueError("nobody asked for another answer")  # ends the parser

    def on_header(self, name: bytes, _: bytes) -> None:
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._measured = True

    def on_headers_complete(self) -> None:
        self._kept = self._parser.should_keep_alive()
        self.status = self._parser.get_status_code()
        self._wake()

    def on_body(self, body: bytes) -> None:
        self._blocks.append(body)
        self._waiting_bytes += len(body)
        if self._waiting_bytes > MOST_WAITING_BYTES and not self._paused:
            self._pause(True)
        self._wake()

    def on_message_complete(self) -> None:
        if 100 <= self.status < 200:  # the answer itself follows
            self.status = 0
            return
        self._complete = True
        self._end()
        self._wake()

    async def _news(self) -> None:
        if self._trouble:
            raise self._trouble
        self._wakes = self._loop.create_future()
        await self._wakes
        if self._trouble and not self._blocks and not self._complete:
            raise self._trouble

    def _wake(self) -> None:
        if self._wakes and not self._wakes.done():
            self._wakes.set_result(None)

    def _pause(self, pause: bool) -> None:
        self._paused, self._heard = pause, self._loop.time()
        if self._transport is not None and not self._transport.is_closing():
            (self._transport.pause_reading if pause else self._transport.resume_reading)()
        if not pause and not self._complete and self._trouble is None:
            self._end()
            self._look_again()

    def _fail(self, error: EngineError) -> None:
        self._trouble = self._trouble or error
        self._end()
        self._wake()

    def _end(self) -> None:
        if self._look:
            self._look.cancel()

    def _look_again(self) -> None:
        """One timer for both limits, which seldom goes off: to set one anew at each block costs."""
        now = self._loop.time()
        silent = self._heard + self._patience.silence_seconds
        if now >= self._ends:
            self._fail(AnswerTooLong("the answer took longer than any may"))
        elif now >= silent and not self._paused:
            self._fail(EngineSlow("the engine said nothing for too long"))
        else:
            next_look = self._ends if self._paused else min(silent, self._ends)
            self._look = self._loop.call_at(next_look, self._look_again)


def away(error: Exception) -> EngineAway:
    return EngineAway(f"the engine cannot be reached: {type(error).__name__}")


def _lines(headers: dict[str, str]) -> str:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\n") != len(headers):
        raise ValueError(f"the headers are {sorted(headers)}; expected one line in each")
    return lines
