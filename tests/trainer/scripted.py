"""An engine for drawing whose next token follows from those before it: a few routes of vLLM's."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

END = 99


def script(prompt: list[int], most: int) -> list[int]:
    """What it says to a prompt, however often it is broken off: as long as its sum says."""
    ids = list(prompt)
    while len(ids) - len(prompt) < min(most, 6 + sum(prompt) % 7):
        ids.append((sum(ids) + len(ids)) % 50)
    said = ids[len(prompt) :]
    return said if len(said) == most else [*said[:-1], END]


def logprob(token: int) -> float:
    return -float(token) / 100


@dataclass
class Scripted:
    """`users` are whom it works for beside us."""

    prompts: list[list[int]]
    most: int
    token_seconds: float = 0.002
    users: int = 0
    counts: bool = True  # does /load know of what it does?
    uncounted: int = 0  # of that
    load_seconds: float = 0.0
    looks: int = 0  # at what it has to do
    ends: bool = True  # does it say which token is an answer's last?
    ours: int = 0
    peak: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    begun: list[float] = field(default_factory=list)
    tokens: int = 0  # said to us
    breaks_after: int | None = None  # tokens of each request; then it breaks off
    status: int = 200
    refused: int = 0
    url: str = ""

    async def load(self, _: web.Request) -> web.Response:
        self.looks += 1
        await asyncio.sleep(self.load_seconds)
        load = self.users + self.ours - self.uncounted if self.counts else 0
        return web.json_response({"server_load": load})

    async def generate(self, request: web.Request) -> web.StreamResponse:
        if self.status != 200:
            self.refused += 1
            return web.json_response({"error": {"message": "not so"}}, status=self.status)
        body = await request.json()
        self.bodies.append(body)
        self.begun.append(asyncio.get_running_loop().time())
        reply = web.StreamResponse()
        self.ours += 1
        self.peak = max(self.peak, self.ours)
        try:
            await reply.prepare(request)
            await self._say(request, reply, body["token_ids"])
        finally:
            self.ours -= 1
        return reply

    async def _say(self, request: web.Request, reply: web.StreamResponse, ids: list[int]) -> None:
        prompt = next(p for p in self.prompts if ids[: len(p)] == p)
        whole = script(prompt, self.most)
        told = len(ids) - len(prompt)
        assert whole[:told] == ids[len(prompt) :]  # it goes on with what it said itself
        for at in range(told, len(whole)):
            if at - told == self.breaks_after:
                assert request.transport is not None
                return request.transport.close()
            await asyncio.sleep(self.token_seconds)
            last = self.ends and at == len(whole) - 1
            finish = ("stop" if whole[at] == END else "length") if last else None
            await reply.write(b"data: " + json.dumps(_chunk(whole[at], finish)).encode() + b"\n\n")
            self.tokens += 1
        return await reply.write(b"data: [DONE]\n\n")


def _chunk(token: int, finish: str | None) -> dict[str, Any]:
    logprobs = {"content": [{"token_id": token, "logprob": logprob(token)}]}
    return {"choices": [{"token_ids": [token], "logprobs": logprobs, "finish_reason": finish}]}


@asynccontextmanager
async def serving(engine: Scripted, port: int = 0) -> AsyncIterator[Scripted]:
    app = web.Application()
    app.router.add_get("/load", engine.load)
    app.router.add_post("/inference/v1/generate", engine.generate)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    engine.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield engine
    finally:
        await runner.cleanup()
