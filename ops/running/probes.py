"""Whether a program can work, asked over HTTP. Knows nothing of processes."""

from collections.abc import Awaitable, Sequence

import httpx

from ops.running.program import NotReady, Ready

_GLANCE_SECONDS = 5.0
_ANSWER_SECONDS = 180.0  # the first answer of an engine compiles: 24 s on two idle cores


def answers(url: str) -> Ready:
    """Ready when a GET of `url` is answered 200."""

    async def ready() -> None:
        async with _client() as client:
            await _expect_200(url, client.get(url))

    return ready


def engine_answers(url: str, models: Sequence[str]) -> Ready:
    """Ready when each of the models has answered one chat: until then users would wait for it."""

    async def ready() -> None:
        async with _client() as client:
            await _expect_200(f"{url}/health", client.get(f"{url}/health"))
            for model in models:
                await _expect_200(f"{url} ({model})", _chat(client, url, model))

    return ready


def _client() -> httpx.AsyncClient:
    # Plain HTTP on this machine: no proxy, and no certificates, which take 37 ms to load.
    return httpx.AsyncClient(timeout=_GLANCE_SECONDS, trust_env=False, verify=False)


def _chat(client: httpx.AsyncClient, url: str, model: str) -> Awaitable[httpx.Response]:
    # As the gateway asks: what a log-probability needs is compiled at its first use, too.
    body = {
        "model": model,
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 2,
        "logprobs": True,
        "return_token_ids": True,
    }
    return client.post(f"{url}/v1/chat/completions", json=body, timeout=_ANSWER_SECONDS)


async def _expect_200(what: str, asked: Awaitable[httpx.Response]) -> None:
    try:
        response = await asked
    except httpx.TransportError as error:
        raise NotReady(f"{what}: {type(error).__name__} {error}") from error
    if response.status_code != 200:
        raise NotReady(f"{what}: answered {response.status_code}, {response.text[:200]}")
