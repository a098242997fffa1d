"""Which handler answers which path, and what becomes of errors.

In place of Starlette's application, which takes longer to find one of ten than most of them take.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import NoSuchMethod, NoSuchPath, ServingError
from serving.wire import error_response, read_headers


class Handler(NamedTuple):
    method: str
    answer: ASGIApp


Reply = Callable[[Mapping[str, str], Receive], Awaitable[Response]]  # to headers and a body


def replying(method: str, reply: Reply) -> Handler:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        response = await reply(read_headers(scope), receive)
        await response(scope, receive, send)

    return Handler(method, answer)


@dataclass(frozen=True)
class Paths:
    handlers: Mapping[str, Handler]
    close: Callable[[], Awaitable[None]]  # when the server ends

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(scope, receive, _Said(send))
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _answer(self, scope: Scope, receive: Receive, said: "_Said") -> None:
        try:
            await self._handler(scope)(scope, receive, said)
        except Exception as error:
            if not said.anything:
                await error_response(error)(scope, receive, said)
            if not isinstance(error, ServingError):  # our own fault: the server logs it
                raise

    def _handler(self, scope: Scope) -> ASGIApp:
        found = self.handlers.get(scope["path"])
        if found is None:
            raise NoSuchPath(f"there is no {scope['path'][:80]!r}; see /openapi.json for what is")
        asked = scope["method"]
        if asked != found.method and (asked, found.method) != ("HEAD", "GET"):
            raise NoSuchMethod(f"{scope['path']} takes no {asked[:20]}", allowed=found.method)
        return found.answer

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})


@dataclass
class _Said:
    """Passes on what is sent; an error can become a response only before the first of it."""

    send: Send
    anything: bool = field(default=False, init=False)

    async def __call__(self, message: Message) -> None:
        self.anything = True
        await self.send(message)
