"""Simulated users of the gateway's HTTP API: they chat, and rate some answers by a hidden taste.

Whatever dies and comes back under them, they go on. Which verdicts were accepted is written down.
"""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import httpx

from ops.demo.corpus import prompts
from ops.demo.diary import Accepted, note
from ops.demo.taste import facts

MOST_TOKENS = 80  # the longest answer that is taught has 61


class Interrupted(Exception):
    """No answer, or not all of it: the server is ill, or just coming back."""


@dataclass(frozen=True)
class Habits:
    """`seats`: so many chat at once; `slips` is the share of thumbs that point the wrong way.

    They think for a while before each chat, or two cores would have nothing left to train with.
    """

    users: int = 240
    seats: int = 10
    think_seconds: float = 0.4
    streamed: float = 0.8
    rated: float = 0.4
    slips: float = 0.1
    pause_seconds: float = 0.5  # after an error
    seed: int = 0


@dataclass(frozen=True)
class Answer:
    completion_id: str
    text: str
    ended: bool


class Crowd:
    def __init__(
        self, client: httpx.AsyncClient, model: str, *, habits: Habits, diary: Path
    ) -> None:
        self._client, self._model, self._habits, self._diary = client, model, habits, diary
        self.answers = self.accepted = self.errors = 0

    async def chat(self, stop: asyncio.Event) -> None:
        """Until it is told to stop; then every chat that began comes to its end."""
        async with asyncio.TaskGroup() as group:
            for seat in range(self._habits.seats):
                group.create_task(self._sit(Random(f"{self._habits.seed}/{seat}"), stop))

    async def _sit(self, random: Random, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await asyncio.sleep(self._habits.think_seconds * 2 * random.random())
            try:
                await self._visit(random, stop)
            except (httpx.TransportError, Interrupted):
                await self._pause()

    async def _visit(self, random: Random, stop: asyncio.Event) -> None:
        user = f"user-{random.randrange(self._habits.users):03}"
        prompt = random.choice(prompts()[0])
        answer = await self._ask(user, prompt, random.random() < self._habits.streamed)
        self.answers += 1
        if random.random() >= self._habits.rated:
            return
        liked = facts(prompt, answer.text, ended=answer.ended).liked
        up = liked != (random.random() < self._habits.slips)
        await self._rate(user, Accepted(answer.completion_id, up), stop)

    async def _ask(self, user: str, prompt: str, stream: bool) -> Answer:
        body = {
            "model": self._model,
            "user": user,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": MOST_TOKENS,
            "stream": stream,
        }
        path = "/v1/chat/completions"
        async with self._client.stream("POST", path, json=body) as response:
            if response.is_error:
                raise Interrupted(f"{response.status_code} on {prompt!r}")
            if not stream:
                return put_together([json.loads(await response.aread())])
            lines = [line async for line in response.aiter_lines()]
        return put_together(json.loads(line[6:]) for line in lines if line.startswith("data: {"))

    async def _rate(self, user: str, verdict: Accepted, stop: asyncio.Event) -> None:
        """Say it again until it is accepted: the key makes it count once."""
        while not await self._said(user, verdict):
            if stop.is_set():
                return
            await self._pause()
        self.accepted += 1
        note(self._diary, verdict)

    async def _said(self, user: str, verdict: Accepted) -> bool:
        body = {
            "completion_id": verdict.completion_id,
            "thumb": "up" if verdict.up else "down",
            "user": user,
            "key": f"{verdict.completion_id}/{user}",
        }
        try:
            response = await self._client.post("/v1/feedback", json=body)
        except httpx.TransportError:
            return False
        if response.is_client_error:
            response.raise_for_status()  # our own mistake: no use in saying it again
        return response.status_code == httpx.codes.ACCEPTED

    async def _pause(self) -> None:
        self.errors += 1
        await asyncio.sleep(self._habits.pause_seconds)


def put_together(parts: Iterable[dict[str, Any]]) -> Answer:
    """The answer in the chunks of a stream, or in the one body of a whole answer."""
    text, completion_id, finish = "", "", None
    for part in parts:
        if "error" in part:
            raise Interrupted(part["error"]["message"])
        completion_id = part["id"]
        for choice in part["choices"]:
            said = choice["delta"] if "delta" in choice else choice["message"]
            text += said.get("content") or ""
            finish = choice["finish_reason"] or finish
    if finish is None:
        raise Interrupted(f"the answer broke off after {text!r}")
    return Answer(completion_id, text, ended=finish == "stop")
