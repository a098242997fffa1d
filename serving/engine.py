"""The only file that talks to vLLM over HTTP; its failures become ours here.

Knows nothing about splits, and of one engine only.
"""

from collections.abc import AsyncGenerator
from http import HTTPStatus
from typing import Any

from pydantic_core import to_json

from feedback.events import BASE
from serving.apis import Api, Part
from serving.connections import CONNECT_SECONDS, Connections, Patience
from serving.errors import EngineAway
from serving.parts import Events, refusal, whole
from serving.turn import Headers

_HEALTH = Patience(CONNECT_SECONDS, CONNECT_SECONDS)


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
        said = to_json(body | {"model": model})
        more = {"x-request-id": request_id} | dict(headers)
        async with self._connections.post(api.path, said, more, self._patience) as reply:
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
        async with self._connections.get("/health", _HEALTH) as reply:
            if reply.status != HTTPStatus.OK:
                raise EngineAway(f"the engine's health is {reply.status}; expected 200")
            await reply.all()

    async def close(self) -> None:
        self._connections.close()
