"""What the middleware adds inside vLLM's own server, and what a gateway before it would.

`python -m tests.bench.inside`. One engine, asked in turn past our code, through the middleware and
through a gateway: whatever the pace of the machine, it is the same for all.
"""

import asyncio
import random
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import aiohttp
import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from feedback.events import encode
from feedback.log import open_log
from serving.split import SPLIT_KEY
from tests.integration.engine import running_engine
from tests.integration.tiny import make_adapter, make_model
from tests.punctual import be_punctual
from tests.serving.gateway import SECRET, gateway_app, settings_for, split, until
from tests.serving.servers import served

ALONE = "/alone"
ONE_TOKEN, ONE_TOKEN_ROUNDS = {"max_tokens": 1}, 1500
LONG, LONG_SECONDS, LONG_ROUNDS, IN_FLIGHT = {"max_tokens": 32, "ignore_eos": True}, 8.0, 5, 8
MORE: dict[str, Any] = {"logprobs": True, "return_token_ids": True}  # what we ask vLLM for


class Coin:
    """`--middleware`: what is asked under /alone goes to vLLM as if we were not there."""

    def __init__(self, app: ASGIApp) -> None:
        from serving.vllm_plugin import Middleware  # vLLM is not loaded where the bench is

        self._alone, self._ours = app, Middleware(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(ALONE):
            path = scope["path"].removeprefix(ALONE)
            await self._alone({**scope, "path": path}, receive, send)
        else:
            await self._ours(scope, receive, send)


@contextmanager
def places(folder: Path) -> Iterator[dict[str, tuple[str, dict[str, Any]]]]:
    """By name: where to ask, and with what more in the body."""
    model = make_model(folder)
    make_adapter(model, folder / "adapters", "model-v1")
    log = f"sqlite:///{folder}/inside.db"
    env = {
        "THUMBWHEEL_LOG": log,
        "THUMBWHEEL_SECRET": SECRET,
        "THUMBWHEEL_SERVING_SPOOL": f"{folder}/inside",
    }
    more = ("--middleware", "tests.bench.inside.Coin", "--no-enable-log-requests")
    with ExitStack() as until_the_end:
        enter = until_the_end.enter_context
        output = folder / "vllm.log"
        engine = enter(running_engine(model, folder / "adapters", output, more=more, env=env))
        settings = settings_for(folder, f"{engine.url}{ALONE}")
        before = enter(served(gateway_app(settings, until_the_end)))
        for url, at in ((engine.url, log), (before, settings.log)):
            enter(closing(open_log(at))).append("split", SPLIT_KEY, encode(split(1, "model-v1")))
            until(partial(ready, url), 60)
        alone = f"{engine.url}{ALONE}"
        yield {
            "vLLM alone": (alone, {"model": "model-v1"}),
            "vLLM alone, asked for what we ask": (alone, {"model": "model-v1"} | MORE),
            "inside vLLM": (engine.url, {"model": "model"}),
            "a gateway before it": (before, {"model": "model"}),
        }


def ready(url: str) -> bool:
    return httpx.get(f"{url}/readyz").status_code == httpx.codes.OK


async def ask(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> float:
    started = perf_counter()
    asked = {"messages": [{"role": "user", "content": "Say hello"}], "temperature": 0} | body
    async with session.post(f"{url}/v1/chat/completions", json=asked) as response:
        answer = await response.read()
        assert response.status == 200, answer
    return perf_counter() - started


async def one_by_one(session: aiohttp.ClientSession, found: dict[str, Any]) -> None:
    """Milliseconds to an answer of one token, in an order that is drawn anew each round."""
    seen = defaultdict[str, list[float]](list)
    for number in range(ONE_TOKEN_ROUNDS + 50):
        for name in random.sample(list(found), len(found)):
            url, more = found[name]
            seconds = await ask(session, url, ONE_TOKEN | more)
            if number >= 50:
                seen[name].append(seconds * 1000)
    alone = seen["vLLM alone"]
    for name, took in seen.items():
        added = [one - other for one, other in zip(took, alone, strict=True)]
        p50s = median(took), median(took) - median(alone)
        p99s = p99(took), p99(took) - p99(alone)
        cells = f"{p50s[0]:.2f} | {p99s[0]:.2f} | {p50s[1]:+.2f} | {p99s[1]:+.2f}"
        print(f"| {name} | {cells} | {median(added):+.2f} |")


def p99(seen: list[float]) -> float:
    return quantiles(seen, n=100)[98]


async def many_at_once(session: aiohttp.ClientSession, found: dict[str, Any]) -> None:
    """Answers a second, all in turn."""
    rates = defaultdict[str, list[float]](list)
    for _ in range(LONG_ROUNDS):
        for name in random.sample(list(found), len(found)):
            url, more = found[name]
            rates[name].append(await rate(session, url, LONG | more))
    base = rates["vLLM alone"]
    for name, seen in rates.items():
        ratios = [one / other for one, other in zip(seen, base, strict=True)]
        print(
            f"| {name} | {median(seen):.1f} ({min(seen):.1f} to {max(seen):.1f}) "
            f"| {median(ratios):.1%} ({min(ratios):.1%} to {max(ratios):.1%}) |"
        )


async def rate(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> float:
    started, answered = perf_counter(), 0

    async def reader() -> None:
        nonlocal answered
        while perf_counter() - started < LONG_SECONDS:
            await ask(session, url, body)
            answered += 1

    await asyncio.gather(*(reader() for _ in range(IN_FLIGHT)))
    return answered / (perf_counter() - started)


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder, places(Path(folder)) as found:
        be_punctual()
        async with aiohttp.ClientSession() as session:
            print("| one token, one at a time | p50, ms | p99, ms | +p50 | +p99 | + in pairs |")
            print("|---|---|---|---|---|---|")
            await one_by_one(session, found)
            print(f"\n| 32 tokens, {IN_FLIGHT} at a time | answers a second | of vLLM alone |")
            print("|---|---|---|")
            await many_at_once(session, found)


if __name__ == "__main__":
    asyncio.run(main())
