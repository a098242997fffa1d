"""From a decision to the last request of the adapter it took: four gateways under load.

How long that was is printed (`pytest -s`).
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from feedback.events import encode
from feedback.log import Log, open_log
from ops import history
from ops.demo.brokers import log_for
from serving.split import SPLIT_KEY, Split
from tests.free import free_ports
from tests.integration.processes import ROOT, Room, tail
from tests.serving.gateway import SECRET
from tests.serving.scripted import ScriptedEngine
from tests.serving.servers import served

pytestmark = [pytest.mark.integration, pytest.mark.alone]

STABLE, CANARY = "model-v1", "model-v2"
GATEWAYS, CLIENTS = 4, 16
AT_MOST_SECONDS = 1.0


@dataclass
class Engine(ScriptedEngine):
    """Remembers when it was asked for which adapter."""

    asked_at: dict[str, list[float]] = field(default_factory=dict)

    async def chat(self, request: Request) -> Response:
        model = (await request.json())["model"]
        self.asked_at.setdefault(model, []).append(time.time())
        return await super().chat(request)


@dataclass(frozen=True)
class Stage:
    home: Path
    log: Log
    engine: Engine
    urls: list[str]  # of the gateways
    env: dict[str, str]

    @property
    def split(self) -> Split:
        return history.splits(self.log)[-1]


@contextmanager
def staged(home: Path, log_url: str) -> Iterator[Stage]:
    """Half of the users on the canary, and four gateways that know it."""
    home.mkdir(parents=True, exist_ok=True)
    log, engine = open_log(log_url), Engine(word_seconds=0.03)
    split = Split(
        at=datetime.now(UTC),
        revision=1,
        stable=STABLE,
        canary=CANARY,
        share_percent=50.0,
        salt=CANARY,
        reason="it passed its gates",
        by="ops",
    )
    log.append("split", SPLIT_KEY, encode(split))
    with ExitStack() as stack:
        stack.callback(log.close)
        env = _env(home, log_url, stack.enter_context(served(engine.app())))
        gateways = [_gateway(home, env, port) for port in free_ports(GATEWAYS)]
        for gateway in gateways:
            stack.callback(gateway.kill)
            gateway.start()
        for gateway in gateways:
            gateway.wait()
        yield Stage(
            home, log, engine, [one.answers.removesuffix("/readyz") for one in gateways], env
        )


def _env(home: Path, log: str, engine: str) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("THUMBWHEEL_")}
    return inherited | {
        "THUMBWHEEL_HOME": str(home),
        "THUMBWHEEL_LOG": log,
        "THUMBWHEEL_ADAPTERS": str(home / "adapters"),
        "THUMBWHEEL_SECRET": SECRET,
        "THUMBWHEEL_ENGINE_URL": engine,
    }


def _gateway(home: Path, env: dict[str, str], port: int) -> Room:
    own = {
        "THUMBWHEEL_SERVING_PORT": str(port),
        "THUMBWHEEL_SERVING_SPOOL": str(home / f"spool-{port}"),
    }
    return Room("serving", f"http://127.0.0.1:{port}/readyz", env | own, home / f"{port}.out")


@contextmanager
def controller(stage: Stage) -> Iterator[Room]:
    metrics, api = free_ports(2)
    own = {
        "THUMBWHEEL_OPS_METRICS_PORT": str(metrics),
        "THUMBWHEEL_OPS_PORT": str(api),
        "THUMBWHEEL_OPS_TICK_SECONDS": "0.2",
    }
    answers = f"http://127.0.0.1:{metrics}/metrics"
    room = Room("ops", answers, stage.env | own, stage.home / "ops.out")
    room.start()
    try:
        room.wait()
        yield room
    finally:
        room.kill()


class Users:
    """They chat at all gateways, and say what did not end well."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self.answers, self.complaints = stage, 0, list[str]()

    async def chat(self, until: asyncio.Event) -> None:
        client = httpx.AsyncClient(timeout=30, trust_env=False)
        async with client as http, asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(self._one(http, number, until))

    async def _one(self, http: httpx.AsyncClient, number: int, until: asyncio.Event) -> None:
        url = self._stage.urls[number % GATEWAYS]
        said = 0
        while not until.is_set():
            said += 1
            body = {
                "model": "model",
                "messages": [{"role": "user", "content": "Hello"}],
                "user": f"{number}-{said}",  # so that both arms are always asked
                "stream": said % 2 == 0,
            }
            async with http.stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
                words = (await answer.aread()).decode()
            whole = answer.status_code == 200 and ("[DONE]" in words or '"stop"' in words)
            self.answers += whole
            if not whole:
                self.complaints.append(f"{answer.status_code}: {words[:200]}")


def last_request_after(stage: Stage, decided: Split) -> float:
    """Of the canary; negative where none came after the decision."""
    return stage.engine.asked_at[CANARY][-1] - decided.at.timestamp()


async def _while_users_chat(stage: Stage, act: AsyncIterator[None]) -> Users:
    users, over = Users(stage), asyncio.Event()
    chatting = asyncio.create_task(users.chat(over))
    async for _ in act:
        pass
    over.set()
    await chatting
    return users


async def _roll_back_by_command(stage: Stage) -> AsyncIterator[None]:
    await asyncio.sleep(2)
    command = (sys.executable, "-c", "from ops.cli import main; main()", "rollback")
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env=stage.env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    await asyncio.sleep(2.5)
    yield


async def _withdraw_by_itself(stage: Stage) -> AsyncIterator[None]:
    with controller(stage) as ops:
        await asyncio.sleep(1)
        stage.engine.refuses[CANARY] = 500
        ends = time.monotonic() + 60
        while stage.split.canary:
            assert time.monotonic() < ends, tail(ops)
            await asyncio.sleep(0.05)
        await asyncio.sleep(2.5)
    yield


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with log_for("kafka", tmp_path_factory.mktemp("kafka")) as address:
        assert address
        yield address


@pytest.fixture(params=["sqlite", "kafka"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    own = f"{tmp_path.name}."
    url = {
        "sqlite": lambda: f"sqlite:///{tmp_path}/log.db",
        "kafka": lambda: f"{request.getfixturevalue('kafka')}{own}",
    }[request.param]()
    with staged(tmp_path / "home", url) as stage:
        yield stage


def test_a_roll_back_by_command_holds_on_every_gateway_within_a_second(stage: Stage) -> None:
    users = asyncio.run(_while_users_chat(stage, _roll_back_by_command(stage)))
    _held(stage, users)
    assert not users.complaints  # what was under way ended on the adapter it began with
    assert stage.split.pinned


def test_a_canary_that_fails_is_taken_from_every_gateway_within_a_second(stage: Stage) -> None:
    users = asyncio.run(_while_users_chat(stage, _withdraw_by_itself(stage)))
    _held(stage, users)
    assert stage.split.reason.startswith("errors: ")
    assert not stage.split.pinned


def _held(stage: Stage, users: Users) -> None:
    after = last_request_after(stage, stage.split)
    late = sum(at > stage.split.at.timestamp() for at in stage.engine.asked_at[CANARY])
    print(f"last canary request {1000 * after:.0f} ms after the decision, {late} came after it")
    assert (stage.split.stable, stage.split.canary) == (STABLE, None)
    assert after < AT_MOST_SECONDS
    assert len(stage.engine.asked_at[CANARY]) > 50  # it had traffic until then
    assert users.answers > 100
