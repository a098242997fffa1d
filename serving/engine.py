"""The only file that talks to vLLM over HTTP; its failures become ours here.

Knows nothing about splits, and of one engine only.
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any

import aiohttp
from pydantic_core import to_json

from feedback.events import BASE
from serving.apis import Api, Part
from serving.errors import AnswerTooLong, EngineAway, EngineSlow
from serving.parts import Events, refusal, whole
from serving.turn import Headers

CONNECT_SECONDS = 2.0
# Below vLLM's own 5 s: a connection that the engine is about to close must not be used again.
KEEPALIVE_SECONDS = 2.0


@dataclass(frozen=True)
class Patience:
    silence_seconds: float  # between two signs of life
    answer_seconds: float  # until the end of an answer


class Engine:
    """One vLLM server. `name` is what it calls the model with no adapter."""

    def __init__(
        self, url: str, name: str, *, patience: Patience, connections: int, key: str | None = None
    ) -> None:
        self.url, self._name, self._connections = url, name, connections
        self._patience = patience
        self._headers = {"content-type": "application/json"}
        if key:
            self._headers["authorization"] = f"Bearer {key}"

    async def answer(
        self, api: Api, adapter: str, body: dict[str, Any], request_id: str, headers: Headers = ()
    ) -> AsyncGenerator[list[Part]]:
        """The answer in batches of parts: chunks where the body asks for a stream, or the whole.

        vLLM names the answer by our request id. Closing this closes the request.
        """
        model = self._name if adapter == BASE else adapter
        with _translated():
            async with self._client.post(
                self.url + api.path,
                data=to_json(body | {"model": model}),
                headers=self._headers | {"x-request-id": request_id} | dict(headers),
            ) as response:
                if response.status != HTTPStatus.OK:
                    raise refusal(response.status, await response.read())
                if not body.get("stream"):
                    yield [whole(await response.read(), model)]
                    return
                events = Events(model)
                async for block in response.content.iter_any():
                    if batch := events.take(block):
                        yield batch
                    events.check()
                events.check_end()

    async def check(self) -> None:
        """Raises where the engine does not answer."""
        with _translated():
            timeout = aiohttp.ClientTimeout(total=CONNECT_SECONDS)
            async with self._client.get(f"{self.url}/health", timeout=timeout) as response:
                if response.status != HTTPStatus.OK:
                    raise EngineAway(f"the engine's health is {response.status}; expected 200")

    async def close(self) -> None:
        await self._client.close()

    @cached_property
    def _client(self) -> aiohttp.ClientSession:
        """Made at the first request: it belongs to the event loop that runs then."""
        connector = aiohttp.TCPConnector(
            limit=self._connections, keepalive_timeout=KEEPALIVE_SECONDS, ttl_dns_cache=10
        )
        timeout = aiohttp.ClientTimeout(
            total=self._patience.answer_seconds,
            connect=CONNECT_SECONDS,
            sock_connect=CONNECT_SECONDS,
            sock_read=self._patience.silence_seconds,
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except aiohttp.SocketTimeoutError as error:
        raise EngineSlow("the engine said nothing for too long") from error
    except aiohttp.ConnectionTimeoutError as error:
        raise EngineAway(f"the engine took no connection in {CONNECT_SECONDS:g} s") from error
    except TimeoutError as error:
        raise AnswerTooLong("the answer took longer than any may") from error
    except (aiohttp.ClientError, OSError) as error:
        raise EngineAway(f"the engine cannot be reached: {type(error).__name__}") from error
