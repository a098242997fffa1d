"""One connection to an engine, and on it one HTTP answer after the other, as it comes.

Its failures become ours here. Knows nothing of what is asked.
"""

from asyncio import BaseTransport, Future, Protocol, TimerHandle, Transport, get_running_loop

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from serving.errors import AnswerTooLong, BadAnswer, EngineAway, EngineError, EngineSlow
from serving.limits import Patience

# Below vLLM's own 5 s: a connection that the engine is about to close must not be used again.
KEEPALIVE_SECONDS = 2.0
MOST_WAITING_BYTES = 128 * 1024  # of an answer that its reader does not take


class Connection(Protocol):
    """The methods without an underscore that nobody here calls are asyncio's and the parser's."""

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

    async def ask(self, request: bytes, patience: Patience) -> None:
        """Until the head of the answer is there."""
        assert self._transport is not None
        self._begin_anew()
        self._heard, self._patience = self._loop.time(), patience
        self._ends = self._heard + patience.answer_seconds
        self._look_again()
        if self._trouble is None:  # it may have been closed as soon as it was open
            self._transport.write(request)
        while not self.status:
            await self._news()

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
        return self._complete and self._kept and not self._blocks and self._is_open

    def may_be_used_at(self, now: float) -> bool:
        return self._is_open and now - self._heard < KEEPALIVE_SECONDS

    def close(self) -> None:
        self._end()
        self._trouble = None  # it holds on to whoever was told of it
        if self._transport is not None:
            self._transport.abort()  # the server is to notice at once

    def connection_made(self, transport: BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # as asyncio says it

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._fail(BadAnswer(f"the engine said {data[:80]!r}; expected HTTP: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        if self.status and not self._measured and exc is None and self._trouble is None:
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

    @property
    def _is_open(self) -> bool:
        assert self._transport is not None
        return self._trouble is None and not self._transport.is_closing()

    async def _news(self) -> None:
        if self._trouble is None:
            self._wakes = self._loop.create_future()
            await self._wakes
        if self._trouble and not self._blocks and not self._complete:
            raise self._trouble

    def _wake(self) -> None:
        if self._wakes and not self._wakes.done():
            self._wakes.set_result(None)

    def _pause(self, pause: bool) -> None:
        self._paused, self._heard = pause, self._loop.time()
        self._kept = False  # who does not listen does not hear that the server left
        if self._is_open:
            assert self._transport is not None
            (self._transport.pause_reading if pause else self._transport.resume_reading)()
        if not pause and not self._complete and self._trouble is None:
            self._end()
            self._look_again()

    def _fail(self, error: EngineError) -> None:
        if self._trouble is None:
            self._trouble = error
            self._end()
            self._wake()
            assert self._transport is not None
            self._transport.abort()

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
