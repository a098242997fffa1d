"""One vLLM server, asked for answers that no user waits for. The only file that talks to engines.

Token ids go in and come out, so it needs `--enable-scale-out`; that it tells how much it has to do
needs `--enable-server-load-tracking`.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple

import httpx
from pydantic import BaseModel, Field, ValidationError

from feedback.events import first_complaint
from trainer.endings import RoundFailed
from trainer.settings import Engines

_TIMES = httpx.Timeout(10.0, read=120.0)  # while an engine loads a draft it says nothing
AFTER_USERS = 100  # vLLM's priority: users' requests have 0, and the lower comes first


class EngineAway(Exception):
    """It does not answer now; it may later. The message says how."""


class EngineRefuses(RoundFailed):
    """It will say the same again; the message says what."""


class Piece(NamedTuple):
    ids: list[int]
    logprobs: list[float]  # of each
    finish: str | None  # why it is the last one


class Wanted(NamedTuple):
    """`ids` may end with the beginning of an answer."""

    model: str
    ids: list[int]
    seed: int
    most: int  # tokens
    ends: list[int]


@asynccontextmanager
async def opened(engines: Engines) -> AsyncIterator[list["Engine"]]:
    headers = {"authorization": f"Bearer {engines.key.get_secret_value()}"} if engines.key else {}
    limits = httpx.Limits(max_connections=None)
    # A proxy of the environment is for the world outside.
    async with httpx.AsyncClient(
        headers=headers, timeout=_TIMES, limits=limits, trust_env=False
    ) as client:
        yield [Engine(url, client) for url in engines.urls]


class Engine:
    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self.url, self._client = url, client

    async def requests(self) -> int:
        """What it works on, for whomever."""
        async with self._asked("GET", "/load") as reply:
            try:
                return _Load.model_validate_json(await reply.aread()).server_load
            except ValidationError as error:
                raise EngineRefuses(f"{self.url}/load: {first_complaint(error)}") from error

    async def answer(self, wanted: Wanted) -> AsyncGenerator[Piece]:
        """Left early, the engine stops."""
        async with self._asked("POST", "/inference/v1/generate", json=_body(wanted)) as reply:
            async for line in reply.aiter_lines():
                if line.startswith("data: {"):
                    yield self._piece(line.removeprefix("data: "))

    def _piece(self, said: str) -> Piece:
        try:
            chunk = _Chunk.model_validate_json(said)
        except ValidationError as error:  # what went wrong midway is told in the stream
            raise EngineAway(f"{self.url} says {said[:200]}") from error
        (choice,) = chunk.choices
        logprobs = [one.logprob for one in choice.logprobs.content]
        if len(logprobs) != len(choice.token_ids):
            told = f"{len(logprobs)} log-probabilities of {len(choice.token_ids)} tokens"
            raise EngineAway(f"{self.url} says {told}")
        return Piece(choice.token_ids, logprobs, choice.finish_reason)

    @asynccontextmanager
    async def _asked(self, method: str, path: str, **more: Any) -> AsyncIterator[httpx.Response]:
        try:
            async with self._client.stream(method, f"{self.url}{path}", **more) as reply:
                if reply.status_code != HTTPStatus.OK:
                    raise self._refusal(path, reply.status_code, await reply.aread())
                yield reply
        except httpx.RequestError as error:
            told = str(error) or type(error).__name__
            raise EngineAway(f"{self.url} is away: {told}") from error

    def _refusal(self, path: str, status: int, said: bytes) -> Exception:
        told = f"{self.url}{path} is {status}: {said.decode(errors='replace')[:300]}"
        later = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS
        return EngineAway(told) if later else EngineRefuses(told)


def _body(wanted: Wanted) -> dict[str, Any]:
    sampling = {
        "temperature": 1.0,
        "top_p": 1.0,
        "top_k": 0,
        "max_tokens": wanted.most,
        "stop_token_ids": wanted.ends,
        "seed": wanted.seed,
        "logprobs": 0,  # of the drawn token alone
        "detokenize": False,
    }
    return {
        "model": wanted.model,
        "token_ids": wanted.ids,
        "sampling_params": sampling,
        "priority": AFTER_USERS,
        "stream": True,
    }


class _Load(BaseModel):
    server_load: int


class _Logprob(BaseModel):
    logprob: float


class _Logprobs(BaseModel):
    content: list[_Logprob]


class _Choice(BaseModel):
    token_ids: list[int]
    logprobs: _Logprobs
    finish_reason: str | None


class _Chunk(BaseModel):
    choices: Annotated[list[_Choice], Field(min_length=1, max_length=1)]
