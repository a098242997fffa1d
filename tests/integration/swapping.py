"""Streams without a pause between them while adapters come and go, and what is wrong with them.

Who answered must be the same in every chunk, the header, the words, the log and the split.
"""

import asyncio
import json
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
from serving.split import SPLIT_KEY, Split, choose, decode_split
from tests.integration.alone import Gateway
from tests.integration.telling import ids, words
from tests.serving.gateway import until

# One adapter's way: a few users, half of them, all; back; and once more.
STEPS = 5


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
class Heard:
    """One answer as its reader saw it."""

    status: int = 0
    header: str = ""
    models: set[str] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)
    text: str = ""
    ended: bool = False
    pause: float = 0.0  # the longest between two blocks

    def take(self, body: bytes) -> None:
        *events, end = body.removesuffix(b"\n\n").split(b"\n\n")
        self.ended = end == b"data: [DONE]"
        for event in events:
            part = json.loads(event.removeprefix(b"data: "))
            self.models.add(part.get("model", "none"))
            self.ids.add(part.get("id", "none"))
            self.text += "".join(c["delta"].get("content") or "" for c in part.get("choices", ()))


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
        done.complaints = [*_misheard(done), *_misremembered(log, done, before, first)]
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
        due = done.plan.requests * number // (done.plan.changes + 1)
        until(lambda due=due: done.begun >= due, 120)  # type: ignore[misc]
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


def _misheard(done: Run) -> Iterator[str]:
    if len(done.heard) != done.plan.requests:
        yield f"{len(done.heard)} answers; expected {done.plan.requests}"
    for one in done.heard:
        if one.status != 200 or not one.ended:
            yield f"failed: status {one.status}, {one.text!r}"
        elif one.models != {one.header} or len(one.ids) != 1:
            yield f"mixed: header {one.header}, chunks {one.models} {one.ids}"
        elif one.text != words(one.header, done.plan.tokens):
            yield f"mixed: header {one.header}, said {one.text!r}"


def _misremembered(log: Log, done: Run, before: int, first: int) -> Iterator[str]:
    """Each answer is on the log once, as its reader had it, and by the split that it names."""
    splits = {one.revision: one for one in (decode_split(r.value) for r in read_all(log, "split"))}
    kept = [decode(r.value, (Completion,)) for r in read_all(log, "completions")][before:]
    done.adapters = Counter(one.adapter for one in kept)
    done.revisions = Counter(one.split_revision or 0 for one in kept)
    by_id = {one.id: one for one in kept}
    if len(kept) != len(by_id):
        yield f"{len(kept) - len(by_id)} completions are on the log twice"
    for one in done.heard:
        found = by_id.get("".join(one.ids))
        if found is None:
            yield f"forgotten: {one.ids}"
            continue
        told = (found.adapter, found.answer, found.answer_ids, found.error)
        if told != (one.header, one.text, ids(one.header, done.plan.tokens), None):
            yield f"misremembered: {one.ids} of {one.header} as {told}"
        chosen = choose(splits[found.split_revision or 0], found.user)
        if (found.split_revision or 0) < first or chosen.adapter != found.adapter:
            yield f"wrong side: {found.id} of {found.user} by {found.adapter}, not {chosen}"
