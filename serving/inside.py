"""vLLM's own app as the engine: it is called where a gateway would send a request.

Knows nothing of vLLM but that it is an ASGI app, and nothing of splits.
"""

from asyncio import Event, Future, ensure_future, get_running_loop, wait
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Any, Self

from pydantic_core import to_json
from starlette.types import ASGIApp, Message, Scope

from feedback.events import BASE
from serving.apis import Api, Part
from serving.errors import AnswerTooLong, BadAnswer, EngineAway, EngineSlow
from serving.limits import Patience
from serving.parts import Events, refusal, whole
from serving.turn import Headers

MOST_BLOCKS = 64  # that a slow reader has not taken yet; then vLLM waits
_HANG_UP_SECONDS = 1.0  # for vLLM to end what nobody reads


class Inside:
    """`scope` is of any request: whatever the server told vLLM's app of itself is in it."""

    url = "inside"

    def __init__(
        self, app: ASGIApp, scope: Scope, name: str, *, patience: Patience, key: str | None = None
    ) -> None:
        self._app, self._scope, self._name, self._patience = app, scope, name, patience
        self._headers = [(b"content-type", b"application/json")]
        if key:
            self._headers.append((b"authorization", f"Bearer {key}".encode()))

    async def answer(
        self, api: Api, adapter: str, body: dict[str, Any], request_id: str, headers: Headers = ()
    ) -> AsyncGenerator[list[Part]]:
        """As `Engine.answer`."""
        model = self._name if adapter == BASE else adapter
        raw = to_json(body | {"model": model})
        said_with = [*self._headers, (b"x-request-id", request_id.encode())]
        said_with += [(name.encode(), value.encode()) for name, value in headers]
        async with self._call("POST", api.path, raw, said_with) as said:
            status = await said.status()
            if status != HTTPStatus.OK:
                raise refusal(status, await said.all())
            if not body.get("stream"):
                yield [whole(await said.all(), model)]
                return
            events = Events(model)
            while block := await said.some():
                if batch := events.take(block):
                    yield batch
                events.check()
            events.check_end()

    async def get(self, path: str) -> bytes:
        async with self._call("GET", path, b"", []) as said:
            status = await said.status()
            if status != HTTPStatus.OK:
                raise EngineAway(f"the engine's {path.strip('/')} is {status}; expected 200")
            return await said.all()

    async def check(self) -> None:
        await self.get("/health")

    async def close(self) -> None:
        """Whoever started vLLM ends it."""

    def _call(
        self, method: str, path: str, body: bytes, headers: list[tuple[bytes, bytes]]
    ) -> "_Call":
        length = (b"content-length", str(len(body)).encode())
        request = {
            "type": "http",
            "http_version": "1.1",
            "scheme": "http",
            "server": ("127.0.0.1", 0),
            "client": ("127.0.0.1", 0),
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [*headers, length],
            "state": dict(self._scope.get("state", {})),  # vLLM writes of the request into it
        }
        return _Call(self._app, {**self._scope, **request}, body, self._patience)


class _Call:
    """One request to an ASGI app, and what it says. Left early, the app sees a reader hang up."""

    def __init__(self, app: ASGIApp, scope: Scope, body: bytes, patience: Patience) -> None:
        self._work = app(scope, self._receive, self._send)
        self._body: bytes | None = body
        self._patience = patience
        self._status: int | None = None
        self._said_all = False
        self._blocks: list[bytes] = []  # that nobody took yet
        self._sign: Future[None] | None = None  # whoever waits for one
        self._taken, self._left = Event(), Event()

    async def __aenter__(self) -> Self:
        self._until = get_running_loop().time() + self._patience.answer_seconds
        self._task = ensure_future(self._work)
        self._task.add_done_callback(self._gives_sign)
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._task.done():
            self._left.set()
            self._taken.set()  # who waits to say more need not
            # Cancelled at once, vLLM's own would go on with the answer and nobody could stop it.
            try:
                await wait([self._task], timeout=_HANG_UP_SECONDS)
            finally:
                self._task.cancel()
            await wait([self._task])
        if not self._task.cancelled():
            self._task.exception()  # looked at, or asyncio complains of it

    async def status(self) -> int:
        """Once there is more to tell of."""
        while not (self._blocks or self._over):
            await self._next_sign()
        if self._status is None:
            raise EngineAway("the engine ended before it answered")
        return self._status

    async def all(self) -> bytes:
        said = []
        while block := await self.some():
            said.append(block)
        return b"".join(said)

    async def some(self) -> bytes:
        """What was said meanwhile; nothing at the end. What vLLM does after it is its own."""
        while not (self._blocks or self._over):
            await self._next_sign()
        said, self._blocks = b"".join(self._blocks), []
        self._taken.set()
        if not said and not self._said_all and (error := self._task.exception()):
            raise BadAnswer(f"the engine failed: {type(error).__name__}") from error
        return said

    @property
    def _over(self) -> bool:
        return self._said_all or self._task.done()

    async def _next_sign(self) -> None:
        loop = get_running_loop()
        self._sign = loop.create_future()
        # Not asyncio's timeouts: they take longer than all that is waited for here.
        ends = min(self._until, loop.time() + self._patience.silence_seconds)
        alarm = loop.call_at(ends, self._is_late, self._sign, ends == self._until)
        try:
            await self._sign
        finally:
            alarm.cancel()

    def _is_late(self, sign: Future[None], at_the_end: bool) -> None:
        if not sign.done():
            sign.set_exception(
                AnswerTooLong("the answer took longer than any may")
                if at_the_end
                else EngineSlow("the engine said nothing for too long")
            )

    def _gives_sign(self, *_: object) -> None:
        if self._sign and not self._sign.done():
            self._sign.set_result(None)

    async def _receive(self) -> Message:
        body, self._body = self._body, None
        if body is None:
            await self._left.wait()
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": body, "more_body": False}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            return  # nobody can do anything yet
        if body := message.get("body"):
            self._blocks.append(body)
        self._said_all = not message.get("more_body")
        self._gives_sign()
        while len(self._blocks) >= MOST_BLOCKS and not self._left.is_set():
            self._taken.clear()
            await self._taken.wait()
