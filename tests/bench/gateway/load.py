"""Requests at a fixed pace, or so many at once; each answer is checked whole."""

import asyncio
import gc
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter

import uvloop

from tests.bench.gateway.client import Answer, Client
from tests.bench.gateway.wishes import USERS, Wish

DRAIN_SECONDS = 3.0  # behind the last request; who needs longer than that has fallen behind
_ID = re.compile(rb'"id": ?"([^"]+)"')


@dataclass
class Seen:
    """What a load has seen; latencies in seconds."""

    wish: Wish
    first: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    late: int = 0  # given up
    chunks: int = 0  # of those that were given up too
    seconds: float = 0.0

    @property
    def answered(self) -> int:
        return len(self.total)

    async def ask(self, client: Client, number: int, started: float) -> None:
        answer = Answer()
        try:
            await client.ask(self.wish.requests[number % USERS], answer)
        except asyncio.CancelledError:
            self._give_up(answer)
            raise
        except OSError as error:
            self.wrong.append(repr(error))
            return
        if complaint := self.wish.complaint(answer):
            self.wrong.append(complaint)
            return
        self.first.append(answer.first_at - started)
        self.total.append(answer.ended_at - started)
        self.chunks += self.wish.tokens
        self.ids += [found[1].decode() for found in [_ID.search(answer.blocks[0])] if found]

    def _give_up(self, answer: Answer) -> None:
        self.late += 1
        chunks = self.wish.chunks(answer)
        if chunks is None:
            self.wrong.append("a stream went wrong before it was given up")
        self.chunks += chunks or 0


def paced(port: int, wish: Wish, *, rate: float, seconds: float) -> Seen:
    """Open loop: a request is due when it is due, and its latency counts from then on."""

    async def work(client: Client, seen: Seen) -> None:
        began, asked = perf_counter() + 0.01, []
        for number in range(round(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(due - perf_counter())
            asked.append(asyncio.create_task(seen.ask(client, number, due)))
        await _end(asked, DRAIN_SECONDS)

    return _run(port, wish, work)


def crowded(port: int, wish: Wish, *, at_once: int, seconds: float) -> Seen:
    """Closed loop: each of so many asks again as soon as it is answered."""

    async def work(client: Client, seen: Seen) -> None:
        ends, numbers = perf_counter() + seconds, count()

        async def ask() -> None:
            while (now := perf_counter()) < ends:
                await seen.ask(client, next(numbers), now)

        await asyncio.gather(*(ask() for _ in range(at_once)))

    return _run(port, wish, work)


def wave(port: int, wish: Wish, *, at_once: int, most_seconds: float) -> Seen:
    """So many at once, and no more; what has not ended by then is given up."""

    async def work(client: Client, seen: Seen) -> None:
        asks = (seen.ask(client, number, perf_counter()) for number in range(at_once))
        await _end([asyncio.create_task(ask) for ask in asks], most_seconds)

    return _run(port, wish, work)


async def _end(asked: list[asyncio.Task[None]], most_seconds: float) -> None:
    _, late = await asyncio.wait(asked, timeout=most_seconds)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)


def _run(port: int, wish: Wish, work: Callable[[Client, Seen], Awaitable[None]]) -> Seen:
    seen, client = Seen(wish), Client(port)
    assert wish.requests  # they are made before the clock runs

    async def timed() -> None:
        began = perf_counter()
        await work(client, seen)
        seen.seconds = perf_counter() - began
        client.close()

    gc.collect()
    gc.disable()
    try:
        uvloop.run(timed())
    finally:
        gc.enable()
    return seen
