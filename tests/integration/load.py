"""Clients that chat and judge, some twenty at once, until they are told to stop.

They behave as a good app does: a verdict that was not answered 202 is sent again, with the same
key, until it is.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from random import Random
from typing import Any

import httpx

from tests.integration.ledger import Ledger

RETRY_SECONDS = 0.1
MESSAGES = [{"role": "user", "content": "Say hello"}]
_LIMITS = httpx.Limits(max_connections=200, keepalive_expiry=2)  # before the gateway's own 5 s


class Load:
    def __init__(
        self,
        url: str,
        *,
        seed: int,
        clients: int = 20,
        pause_seconds: float = 0.2,
        model: str = "model",
    ) -> None:
        self.ledger = Ledger()
        self._url, self._seed, self._clients = url, seed, clients
        self._pause_seconds, self._model = pause_seconds, model

    async def run(self, stop: asyncio.Event) -> None:
        """Returns when everything that was said is accepted."""
        async with (
            httpx.AsyncClient(
                base_url=self._url, timeout=60, limits=_LIMITS, trust_env=False, verify=False
            ) as http,
            asyncio.TaskGroup() as group,
        ):
            for number in range(self._clients):
                client = _Client(http, self.ledger, f"{self._seed}-{number}", self._model)
                group.create_task(client.run(stop, self._pause_seconds))


class _Client:
    def __init__(self, http: httpx.AsyncClient, ledger: Ledger, name: str, model: str) -> None:
        self._http, self._ledger, self._name, self._model = http, ledger, name, model
        self._random = Random(name)
        self._said = 0

    async def run(self, stop: asyncio.Event, pause_seconds: float) -> None:
        while not stop.is_set():
            await self._chat() if self._random.random() < 0.5 else await self._stream()
            await asyncio.sleep(self._random.uniform(0, 2 * pause_seconds))

    async def _chat(self) -> None:
        try:
            response = await self._http.post("/v1/chat/completions", json=self._body())
        except httpx.TransportError as error:
            response = httpx.Response(0, text=repr(error))
        if not self._counted("chat", response.status_code == httpx.codes.OK):
            self._ledger.failures.append(f"{response.status_code}: {response.text}")
            return
        answer = response.json()
        self._ledger.answered[answer["id"]] = answer["choices"][0]["message"]["content"]
        await self._judge(answer["id"])

    async def _stream(self) -> None:
        """Some judge while they still read: before the completion is on the log."""
        early, judging = self._random.random() < 0.5, asyncio.create_task(asyncio.sleep(0))
        words: list[str] = []
        whole, name, last = False, "", ""
        try:
            body = self._body() | {"stream": True}
            async with self._http.stream("POST", "/v1/chat/completions", json=body) as response:
                name = response.headers.get("x-thumbwheel-completion", "")
                if name and early:
                    judging = asyncio.create_task(self._judge(name))
                async for line in response.aiter_lines():
                    whole |= line == "data: [DONE]"
                    words += _words(line)
                    last = line or last
        except httpx.TransportError as error:
            last = f"{error!r} after {last}"
        if self._counted("chat", whole):
            self._ledger.answered[name] = "".join(words)
        else:
            self._ledger.failures.append(f"a stream: {last}")
        await judging
        if name and not early:
            await self._judge(name)

    def _body(self) -> dict[str, Any]:
        return {"model": self._model, "messages": MESSAGES, "user": self._name}

    async def _judge(self, name: str) -> None:
        """All that one person has to say of it, in order; then perhaps one of it once more."""
        bodies = [self._signed(name, said) for said in self._opinions()]
        for body in bodies:
            self._ledger.counts["verdicts said"] += 1
            sends = 2 if self._random.random() < 0.1 else 1  # a user who clicks twice
            await asyncio.gather(*(self._send(body) for _ in range(sends)))
            self._ledger.accepted(body, self._name)
            self._ledger.counts["verdicts sent twice"] += sends - 1
        if self._random.random() < 0.2:
            await self._send(self._random.choice(bodies))
            self._ledger.counts["verdicts sent twice"] += 1

    def _opinions(self) -> Iterator[dict[str, Any]]:
        thumbs = ["up", "down"] if self._random.random() < 0.5 else ["down", "up"]
        yield {"thumb": thumbs[0]}
        if self._random.random() < 0.3:
            yield {"thumb": thumbs[1]}
        if self._random.random() < 0.2:
            yield {"outcome": {"name": "resolved", "value": self._random.randint(0, 9)}}
        if self._random.random() < 0.2:
            yield {"correction": f"Hello {self._random.randint(0, 9)}."}
        if self._random.random() < 0.1:
            yield {"retract": "thumb"}
        if self._random.random() < 0.1:
            yield {"thumb": thumbs[0], "user": f"{self._name}'s colleague"}

    def _signed(self, name: str, said: dict[str, Any]) -> dict[str, Any]:
        self._said += 1
        return said | {"completion_id": name, "key": f"{self._name}-{self._said}"}

    async def _send(self, body: dict[str, Any]) -> None:
        self._ledger.about_to_say(body)
        while True:
            if await self._try(body):
                return
            await asyncio.sleep(RETRY_SECONDS)

    async def _try(self, body: dict[str, Any]) -> bool:
        began = time.perf_counter()
        try:
            response = await self._http.post("/v1/feedback", json=body)
        except httpx.TransportError as error:
            response = httpx.Response(0, text=repr(error))
        status = response.status_code
        assert status in (0, 202) or status >= 500, f"{status} for {body}"
        if status == httpx.codes.ACCEPTED:
            self._ledger.seconds[self._ledger.phase].append(time.perf_counter() - began)
        else:
            self._ledger.failures.append(f"a verdict: {status}: {response.text}")
        return self._counted("verdict", status == httpx.codes.ACCEPTED)

    def _counted(self, what: str, well: bool) -> bool:
        self._ledger.counts[f"{what}s answered" if well else f"{what}s failed"] += 1
        return well


def _words(line: str) -> Iterator[str]:
    if line.startswith("data: {"):
        for choice in json.loads(line.removeprefix("data: ")).get("choices", ()):
            yield choice["delta"].get("content") or ""
