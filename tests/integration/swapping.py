"""Streams without a pause between them while adapters come and go, and what came of them."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import aiohttp

from feedback.events import Completion, decode, encode
from feedback.log import Log, open_log, read_all
from serving.split import SPLIT_KEY, Split, decode_split
from tests.integration.alone import Gateway
from tests.integration.attribution import Heard, misheard, misremembered
from tests.serving.gateway import until

# One adapter's way: a few users, half of them, all; back; and once more.
STEPS = 5
SOME = 10


@dataclass(frozen=True)
class Plan:
    requests: int = 10_000
    at_once: int = 50
    tokens: int = 12
    pause_microseconds: int = 5_000  # before each token, at the engine
    users: int = 1_000
    adapters: int = 20  # new ones; none is a run without any swap

    @property
    def changes(self) -> int:
        return self.adapters * STEPS


@dataclass
class Run:
    plan: Plan
    heard: list[Heard] = field(default_factory=list)
    begun: int = 0
    complaints: list[str] = field(default_factory=list)
    adapters: Counter[str] = field(default_factory=Counter)  # that answered, by the log
    revisions: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0

    def pause_ms(self, percent: float) -> float:
        ordered = sorted(one.pause for one in self.heard)
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def run(gateway: Gateway, plan: Plan) -> Run:
    """All that was asked for, and every complaint about it."""
    done = Run(plan)
    with closing(open_log(gateway.log)) as log:
        first = _decide(gateway, log, stable="model-v1")
        before = len(list(read_all(log, "completions")))
        began = perf_counter()
        asyncio.run(_load(gateway, done, lambda: _swap(gateway, log, done)))
        done.seconds = perf_counter() - began
        expected = before + plan.requests
        until(lambda: len(list(read_all(log, "completions"))) >= expected, 30)
        kept = [decode(r.value, (Completion,)) for r in read_all(log, "completions")][before:]
        splits = [decode_split(record.value) for record in read_all(log, "split")]
    done.adapters = Counter(one.adapter for one in kept)
    done.revisions = Counter(one.split_revision or 0 for one in kept)
    in_force = {one.revision: one for one in splits if one.revision >= first}
    done.complaints = [
        *misheard(done.heard, plan.requests, plan.tokens),
        *misremembered(done.heard, kept, in_force, plan.tokens),
    ]
    return done


async def _load(gateway: Gateway, done: Run, swap: Callable[[], None]) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(gateway.url, connector=connector) as http:

        async def ask() -> None:
            while done.begun < done.plan.requests:
                done.begun += 1
                done.heard.append(await _stream(http, done.plan, done.begun))

        swapping = asyncio.create_task(asyncio.to_thread(swap))
        await asyncio.gather(*(ask() for _ in range(done.plan.at_once)))
        await swapping


async def _stream(http: aiohttp.ClientSession, plan: Plan, number: int) -> Heard:
    heard, blocks, before = Heard(), list[bytes](), 0.0
    body = {
        "model": "model",
        "messages": [{"role": "user", "content": "Who are you?"}],
        "user": f"user-{number % plan.users}",
        "max_tokens": plan.tokens,
        "seed": plan.pause_microseconds,
        "stream": True,
    }
    try:
        async with http.post("/v1/chat/completions", json=body) as response:
            heard.status = response.status
            heard.header = response.headers.get("x-thumbwheel-adapter", "none")
            async for block in response.content.iter_any():
                now = perf_counter()
                heard.pause = max(heard.pause, now - (before or now))
                before = now
                blocks.append(block)
    except aiohttp.ClientError:
        return heard
    if heard.status == 200:
        heard.take(b"".join(blocks))
    return heard


def _swap(gateway: Gateway, log: Log, done: Run) -> None:
    """All changes, spread evenly over all requests, each in force before the next."""
    for number, said in enumerate(_ways(done.plan.adapters)):
        due = done.plan.requests * (number + 1) // (done.plan.changes + 1)
        # The one before must have had some requests too.
        due = min(max(due, done.begun + SOME), done.plan.requests)
        until(lambda due=due: done.begun >= due, 120)  # type: ignore[misc]  # mypy: no default
        _decide(gateway, log, **said)


def _ways(adapters: int) -> Iterator[dict[str, Any]]:
    for number in range(1, adapters + 1):
        old, new = f"model-v{number}", f"model-v{number + 1}"
        yield {"stable": old, "canary": new, "share_percent": 10}
        yield {"stable": old, "canary": new, "share_percent": 50}
        yield {"stable": new}
        yield {"stable": old}
        yield {"stable": new}


def _decide(gateway: Gateway, log: Log, **said: Any) -> int:
    """The revision, once it is in force."""
    known = [decode_split(record.value).revision for record in read_all(log, "split")]
    revision = max(known, default=0) + 1
    split = Split(at=datetime.now(UTC), revision=revision, reason="test", by="test", **said)
    log.append("split", SPLIT_KEY, encode(split))
    until(lambda: gateway.metric("thumbwheel_serving_split_revision") == revision, 30)
    return revision
