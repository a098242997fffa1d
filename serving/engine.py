"""The only file that talks to vLLM over HTTP; its failures become ours here.

Knows nothing about splits.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, TypeGuard

import httpx
from pydantic_core import from_json, to_json

from feedback.events import BASE
from serving.ask import Part
from serving.errors import BadAnswer, EngineAway, EngineRefused, EngineSlow, WrongAdapter

CONNECT_SECONDS = 2.0
# Below vLLM's own 5 s: a connection that the engine is about to close must not be used again.
KEEPALIVE_SECONDS = 2.0
_DATA = b"data: "
_DONE = b"[DONE]"


class Engine:
    """One vLLM server. `name` is what it calls the model with no adapter."""

    def __init__(self, url: str, name: str, *, answer_seconds: float, connections: int) -> None:
        self._name = name
        self._client = httpx.AsyncClient(
            base_url=url,
            timeout=httpx.Timeout(answer_seconds, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
            limits=httpx.Limits(
                max_connections=connections,
                max_keepalive_connections=connections,
                keepalive_expiry=KEEPALIVE_SECONDS,
            ),
            trust_env=False,  # no proxy stands between a gateway and its engine
            verify=url.startswith("https:"),  # reading the world's certificates takes a while
        )

    async def answer(
        self, adapter: str, body: dict[str, Any], request_id: str
    ) -> AsyncGenerator[Part, None]:
        """The answer in its parts: chunks where the body asks for a stream, or the whole as one.

        vLLM names the answer `chatcmpl-` and our request id. Closing this closes the request.
        """
        model = self._name if adapter == BASE else adapter
        with _translated():
            async with self._client.stream(
                "POST",
                "/v1/chat/completions",
                content=to_json(body | {"model": model}),
                headers={"content-type": "application/json", "x-request-id": request_id},
            ) as response:
                if response.status_code != httpx.codes.OK:
                    raise _refusal(response.status_code, await response.aread())
                parts = _chunks(response) if body.get("stream") else _whole(response)
                async for part in parts:
                    yield _checked(part, model)

    async def check(self) -> None:
        """Raises where the engine does not answer."""
        with _translated():
            response = await self._client.get("/health", timeout=CONNECT_SECONDS)
        if response.status_code != httpx.codes.OK:
            raise EngineAway(f"the engine's health is {response.status_code}; expected 200")

    async def close(self) -> None:
        await self._client.aclose()


async def _whole(response: httpx.Response) -> AsyncIterator[Part]:
    yield _parsed(await response.aread())


async def _chunks(response: httpx.Response) -> AsyncIterator[Part]:
    done = False
    # Read on behind the end mark: a connection is used again only if its answer was read whole.
    async for event in _events(response):
        done = event == _DONE
        if not done:
            yield _parsed(event)
    if not done:
        raise EngineAway("the engine ended its answer in the middle")


async def _events(response: httpx.Response) -> AsyncIterator[bytes]:
    # Not httpx's line reader: it also cuts at line ends that JSON leaves as they are, as U+2028.
    rest = b""
    async for block in response.aiter_bytes():
        *events, rest = (rest + block).split(b"\n\n")
        for event in events:
            if event.startswith(_DATA):  # the others are comments that keep a connection alive
                yield event[len(_DATA) :]


def _parsed(raw: bytes) -> Part:
    try:
        part = from_json(raw)
    except ValueError as error:
        raise BadAnswer(f"the engine said {raw[:80]!r}; expected JSON") from error
    if isinstance(part, dict) and "error" in part:
        raise _refusal(500, raw)
    if not _is_answer(part):
        raise BadAnswer(f"the engine said {raw[:80]!r}; expected an answer")
    return part


def _is_answer(part: Any) -> TypeGuard[Part]:
    if not isinstance(part, dict) or not {"id", "model", "choices"} <= part.keys():
        return False
    return all(isinstance(choice, dict) and "index" in choice for choice in part["choices"])


def _checked(part: Part, model: str) -> Part:
    if part["model"] != model:
        raise WrongAdapter(f"the engine answered with {part['model']!r}; expected {model!r}")
    return part


def _refusal(status: int, raw: bytes) -> EngineRefused:
    """The engine's error in its own words; in the middle of a stream only they know the status."""
    try:
        said = from_json(raw)["error"]
        code = said.get("code")
    except (ValueError, TypeError, KeyError, AttributeError):  # not in vLLM's shape
        return EngineRefused(status, {"message": raw[:200].decode(errors="replace")})
    return EngineRefused(code if isinstance(code, int) else status, said)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
        raise EngineSlow("the engine said nothing for too long") from error
    except httpx.TransportError as error:
        raise EngineAway(f"the engine cannot be reached: {type(error).__name__}") from error
