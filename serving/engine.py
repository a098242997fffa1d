"""One vLLM server, asked over HTTP. Knows nothing about splits, nor of other engines."""

from asyncio import timeout
from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Any

from pydantic_core import to_json

from feedback.events import BASE
from serving.apis import Api, Part
from serving.connections import CONNECT_SECONDS, Connections
from serving.errors import BadAnswer, EngineAway, EngineSlow
from serving.limits import Patience
from serving.parts import Events, refusal, whole
from serving.turn import Headers


class Engine:
    """One vLLM server. `name` is what it calls the model with no adapter."""

    def __init__(self, url: str, name: str, *, patience: Patience, key: str | None = None) -> None:
        self.url, self._name, self._patience = url, name, patience
        headers = {"content-type": "application/json"}
        if key:
            headers["authorization"] = f"Bearer {key}"
        self._connections = Connections(url, headers)

    async def answer(
        self, api: Api, adapter: str, body: dict[str, Any], request_id: str, headers: Headers = ()
    ) -> AsyncGenerator[list[Part]]:
        """The answer in batches of parts: chunks where the body asks for a stream, or the whole.

        vLLM names the answer by our request id. Closing this closes the request.
        """
        model = self._name if adapter == BASE else adapter
        more = {"x-request-id": request_id} | dict(headers)
        async with self._connections.post(
            api.path, to_json(body | {"model": model}), headers=more, patience=self._patience
        ) as reply:
            if reply.status < HTTPStatus.BAD_REQUEST and reply.status != HTTPStatus.OK:
                raise BadAnswer(f"the engine's status is {reply.status}; expected 200")
            if reply.status != HTTPStatus.OK:
                raise refusal(reply.status, await reply.all())
            if not body.get("stream"):
                yield [whole(await reply.all(), model)]
                return
            events = Events(model)
            while block := await reply.some():
                if batch := events.take(block):
                    yield batch
                events.check()
            events.check_end()

    async def check(self) -> None:
        """Raises where the engine does not answer."""
        try:
            async with (
                timeout(CONNECT_SECONDS),
                self._connections.get("/health", self._patience) as reply,
            ):
                if reply.status != HTTPStatus.OK:
                    raise EngineAway(f"the engine's health is {reply.status}; expected 200")
                await reply.all()
        except TimeoutError as error:
            raise EngineSlow(f"no answer about its health in {CONNECT_SECONDS:g} s") from error

    async def close(self) -> None:
        self._connections.close()
