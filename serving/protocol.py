"""uvicorn's HTTP with the limits that it has not: how large a head may be, and how slow a request.

Who asks again before they are answered is answered once: uvicorn would not see them hang up. Who
asks just when it is told to end is answered: uvicorn would have closed their connection.
"""

from asyncio import BaseTransport, TimerHandle

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 65_536  # as many as h11 takes; httptools takes any number


class Pipelined(Exception):
    """Asked before the answer was there; ends the parser."""


class Protocol(HttpToolsProtocol):
    request_seconds: float
    _until: TimerHandle | None = None
    _head_bytes = 0
    _ends = False  # with the next answer, or when none was asked for as long as ever

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]  # as asyncio says it
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._expect_no_more()

    def data_received(self, data: bytes) -> None:
        if self._answering:
            self.cycle.keep_alive = False
            return
        if self._until is None:
            self._expect()
        in_body, before = self._in_body, self.cycle
        super().data_received(data)
        if in_body or self.cycle is not before:  # the head is complete
            self._head_bytes = 0
            return
        self._head_bytes += len(data)
        if self._head_bytes > MOST_HEAD_BYTES:
            self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        if self._answering:
            raise Pipelined
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self._ends and self.cycle is not None:
            self.cycle.keep_alive = False  # which the answer says

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._expect_no_more()

    def shutdown(self) -> None:
        """Nobody's connection is closed that was not told: they may ask again at this moment."""
        self._ends = True
        if self.cycle is None:  # nobody has asked yet
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        elif not self.cycle.response_started:
            self.cycle.keep_alive = False

    def send_400_response(self, msg: str) -> None:
        if self._answering:
            self.cycle.keep_alive = False
        elif not self.transport.is_closing():
            super().send_400_response(msg)

    @property
    def _in_body(self) -> bool:
        return self.cycle is not None and self.cycle.more_body

    @property
    def _answering(self) -> bool:
        """All of the request is there, and not yet all of the answer."""
        cycle = self.cycle
        return cycle is not None and not cycle.more_body and not cycle.response_complete

    def _expect(self) -> None:
        self._until = self.loop.call_later(self.request_seconds, self.transport.close)

    def _expect_no_more(self) -> None:
        if self._until:
            self._until.cancel()
            self._until = None


def protocol(seconds: float) -> type[Protocol]:
    """One that waits so long for all of a request."""

    class Patient(Protocol):
        request_seconds = seconds

    return Patient
