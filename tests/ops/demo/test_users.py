"""Users against a scripted server on a real socket: they chat, rate, and go on when it fails."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from ops.demo.corpus import Manner, answer, prompts, topic_of
from ops.demo.diary import Accepted, read_diary
from ops.demo.taste import facts
from ops.demo.users import Crowd, Habits, Interrupted, put_together

pytestmark = pytest.mark.anyio
Asked = tuple[str, dict[str, Any]]


class Gateway:
    """Answers `enough` chats, in every manner; `fails` says which requests it hangs up on."""

    def __init__(self, enough: int, fails: Callable[[int], bool] = lambda _: False) -> None:
        self._enough, self._fails, self._random = enough, fails, Random(0)
        self.had_enough = asyncio.Event()
        self.asked: list[Asked] = []
        self.said: dict[str, tuple[str, str]] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        path, body = head.split()[1], json.loads(await reader.readexactly(length))
        if not self._fails(len(self.asked)):
            writer.write(self._feedback() if "feedback" in path else self._chat(body))
        self.asked.append((path, body))
        await writer.drain()
        writer.close()

    def _feedback(self) -> bytes:
        return b"HTTP/1.1 202 Accepted\r\nconnection: close\r\n\r\n{}"

    def _chat(self, body: dict[str, Any]) -> bytes:
        prompt = body["messages"][0]["content"]
        topic = topic_of(prompt)
        assert topic is not None
        manner = Manner(*(self._random.random() < 0.7 for _ in range(3)))
        text, name = answer(topic, manner, self._random), f"c{len(self.asked)}"
        self.said[name] = prompt, text
        if len(self.said) >= self._enough:
            self.had_enough.set()
        whole = {"message": {"content": text}, "finish_reason": "stop"}
        parts: list[dict[str, Any]] = [{"delta": {"role": "assistant"}, "finish_reason": None}]
        parts += [{"delta": {"content": c}, "finish_reason": None} for c in text]
        parts += [{"delta": {}, "finish_reason": "stop"}]
        chunks = parts if body["stream"] else [whole]
        lines = [json.dumps({"id": name, "choices": [chunk]}) for chunk in chunks]
        events = "".join(f"data: {line}\n\n" for line in lines) + "data: [DONE]\n\n"
        head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"
        return (head + (events if body["stream"] else lines[0])).encode()


@asynccontextmanager
async def served(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    server = await asyncio.start_server(gateway.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server, httpx.AsyncClient(base_url=f"http://{host}:{port}") as client:
        yield client


async def chat(gateway: Gateway, diary: Path, habits: Habits) -> Crowd:
    async with served(gateway) as client:
        crowd = Crowd(client, "model", habits=habits, diary=diary)
        await crowd.chat(gateway.had_enough)
    return crowd


@dataclass(frozen=True)
class Evening:
    """What a crowd of three said, and what became of it."""

    gateway: Gateway
    crowd: Crowd
    accepted: list[Accepted]


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Evening:
    gateway, diary = Gateway(enough=200), tmp_path_factory.mktemp("evening") / "diary"
    crowd = asyncio.run(chat(gateway, diary, Habits(users=3, think_seconds=0)))
    return Evening(gateway, crowd, read_diary(diary))


def test_they_rate_some_answers_mostly_by_their_taste(evening: Evening) -> None:
    gateway, crowd, accepted = evening.gateway, evening.crowd, evening.accepted
    assert len(accepted) == crowd.accepted
    assert 0.3 < crowd.accepted / crowd.answers < 0.5
    liked = {name: facts(*said, ended=True).liked for name, said in gateway.said.items()}
    slips = sum(verdict.up != liked[verdict.completion_id] for verdict in accepted)
    assert 0.02 < slips / len(accepted) < 0.2


def test_they_ask_what_was_taught_and_mostly_stream(evening: Evening) -> None:
    chats = [body for path, body in evening.gateway.asked if path == "/v1/chat/completions"]
    assert {body["messages"][0]["content"] for body in chats} <= set(prompts()[0])
    assert {body["user"] for body in chats} == {"user-000", "user-001", "user-002"}
    assert {body["model"] for body in chats} == {"model"}
    assert 0.6 < sum(body["stream"] for body in chats) / len(chats) < 0.95


async def test_a_verdict_is_said_again_until_it_is_accepted(tmp_path: Path) -> None:
    gateway = Gateway(enough=10, fails=lambda place: place % 3 == 1)
    habits = Habits(seats=1, think_seconds=0, rated=1.0, pause_seconds=0.01)
    crowd = await chat(gateway, tmp_path / "diary", habits)
    keys = [body["key"] for path, body in gateway.asked if path == "/v1/feedback"]
    assert len(set(keys)) == crowd.answers
    assert len(keys) > len(set(keys))
    # Told to stop, the last one need not try again.
    assert crowd.answers - 1 <= len(read_diary(tmp_path / "diary")) == crowd.accepted
    assert crowd.errors > 0


async def test_a_verdict_that_is_refused_is_a_mistake_of_ours(tmp_path: Path) -> None:
    async def refuse(request: httpx.Request) -> httpx.Response:
        whole = {"message": {"content": "Fine."}, "finish_reason": "stop"}
        if request.url.path == "/v1/feedback":
            return httpx.Response(422)
        return httpx.Response(200, json={"id": "c1", "choices": [whole]})

    transport = httpx.MockTransport(refuse)
    async with httpx.AsyncClient(base_url="http://gateway", transport=transport) as client:
        habits = Habits(seats=1, rated=1.0, streamed=0.0)
        crowd = Crowd(client, "model", habits=habits, diary=tmp_path / "diary")
        with pytest.raises(ExceptionGroup, match="TaskGroup"):
            await crowd.chat(asyncio.Event())


def test_an_answer_that_breaks_off_is_not_rated() -> None:
    started = {"id": "c1", "choices": [{"delta": {"content": "Fi"}, "finish_reason": None}]}
    with pytest.raises(Interrupted, match="'Fi'"):
        put_together([started])
    with pytest.raises(Interrupted, match="engine is away"):
        put_together([started, {"error": {"message": "engine is away"}}])


def test_a_diary_that_was_never_begun_is_empty(tmp_path: Path) -> None:
    assert read_diary(tmp_path / "none") == []
