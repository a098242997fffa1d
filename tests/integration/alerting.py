"""The loop's processes with a real Prometheus and Alertmanager over them, and users who come."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import Response

from feedback.events import BASE
from tests.free import free_ports
from tests.integration.users import Users
from tests.ops.made import PASSED, Place
from tests.prometheus.watching import Told, alertmanager, load_rules, prometheus, running, until
from tests.serving.gateway import SECRET
from tests.serving.scripted import ScriptedEngine
from tests.serving.servers import served
from trainer.adapters import Estimate
from trainer.past import Ended
from trainer.record import Record

KEY = "a key for tests"


class Engine(ScriptedEngine):
    async def metrics(self, _: Request) -> Response:
        names = ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc")
        return Response("".join(f"vllm:{name} 0.0\n" for name in names))


@dataclass(frozen=True)
class Stack:
    place: Place
    engine: Engine
    users: Users
    told: Told
    prometheus: str
    gateway: str
    api: str

    @property
    def record(self) -> Record:
        return Record(self.place.home / "trainer")

    def query(self, expression: str) -> list[dict[str, Any]]:
        asked = httpx.get(
            f"{self.prometheus}/api/v1/query", params={"query": expression}, trust_env=False
        )
        assert asked.is_success, asked.text
        found: list[dict[str, Any]] = asked.json()["data"]["result"]
        return found

    def control(self, what: str, **more: Any) -> None:
        headers = {"authorization": f"Bearer {KEY}"}
        done = httpx.post(f"{self.api}/v1/{what}", json=more, headers=headers, trust_env=False)
        assert done.is_success, done.text

    def until_firing(self, *alerts: str) -> None:
        """Each was pending first, if it has to be, then fired, and Alertmanager told of it."""
        for alert in alerts:
            self._until(alert, "firing")
            if self._waits(alert):
                assert self._was(alert, "pending"), f"{alert} fired at once"
            assert self._was(alert, "firing")

    def until_resolved(self, *alerts: str) -> None:
        for alert in alerts:
            self._until(alert, "resolved")

    def _until(self, alert: str, how: str) -> None:
        def so() -> bool:
            return (alert, how) in self.told.heard

        until(so, f"{alert} is not {how}", lambda: str((self.told.heard, self._now())))

    def _now(self) -> list[dict[str, Any]]:
        return [one["metric"] for one in self.query("ALERTS")]

    def _was(self, alert: str, state: str) -> bool:
        return bool(
            self.query(f'max_over_time(ALERTS{{alertname="{alert}",alertstate="{state}"}}[2m])')
        )

    def _waits(self, alert: str) -> bool:
        page = httpx.get(f"{self.prometheus}/api/v1/rules", trust_env=False).json()
        rules = [rule for group in page["data"]["groups"] for rule in group["rules"]]
        return next(bool(rule["duration"]) for rule in rules if rule["name"] == alert)


@contextmanager
def stack(folder: Path) -> Iterator[Stack]:
    """All of it ready, with users who come and rate; at the end all of it is ended."""
    engine, told, place = Engine(), Told(), Place(folder)
    engine.known |= {f"model-v{number}" for number in range(1, 10)}
    ports = free_ports(7)
    gateway, worker, trainer, ops, api, watcher, notifier = (
        f"http://127.0.0.1:{port}" for port in ports
    )
    with ExitStack() as until_the_end:
        enter = until_the_end.enter_context
        vllm, receiver = enter(served(engine.app())), enter(served(told.app()))
        env = _env(folder, vllm, ports)
        _past(folder / "trainer")
        for name, ready in (
            ("ops", f"{ops}/metrics"),
            ("feedback", f"{worker}/metrics"),
            ("trainer --export", f"{trainer}/metrics"),
            ("serving", f"{gateway}/readyz"),
        ):
            enter(running([sys.executable, "-m", *name.split()], folder, env, ready))
        jobs = {"serving": gateway, "feedback": worker, "trainer": trainer, "ops": ops}
        jobs["vllm"] = vllm
        enter(
            alertmanager(
                folder, notifier, everything=receiver, rolls_back=f"{api}/v1/alerts", key=KEY
            )
        )
        process = enter(prometheus(folder, watcher, jobs, notifier))
        users = enter(Users(gateway).coming())
        loop = Stack(place, engine, users, told, watcher, gateway, api)
        until(lambda: len(loop.query("up == 1")) == len(jobs), "not all are scraped")
        load_rules(folder, process)
        until(lambda: bool(loop.query("thumbwheel:canary_share:ratio")), "no rules are loaded")
        yield loop


def _past(folder: Path) -> None:
    """Of the trainer: a round that published two days ago, and lessons that wait."""
    folder.mkdir()
    Record(folder).ended(published(datetime.now(UTC) - timedelta(days=2)))
    Record(folder).waits(3)


def published(at: datetime) -> Ended:
    return Ended(
        outcome="published",
        why="its gates passed",
        parent=BASE,
        adapter="model-v0",
        began_at=at - timedelta(minutes=5),
        ended_at=at,
        counts={"train": 100},
        gates=PASSED,
        kl={"base": Estimate(value=0.4, stderr=0.1, n=50)},
        scores={"held_out": 0.7},
    )


def _env(folder: Path, engine: str, ports: list[int]) -> dict[str, str]:
    gateway, worker, trainer, ops, api, *_ = map(str, ports)
    said = {
        "HOME": str(folder),
        "LOG": f"sqlite:///{folder}/log.db",
        "EXAMPLES": str(folder / "examples"),
        "ADAPTERS": str(folder / "adapters"),
        "SECRET": SECRET,
        "ENGINE_URL": engine,
        "SERVING_PORT": gateway,
        "SERVING_SPOOL": str(folder / "spool"),
        "FEEDBACK_WINDOW": str(folder / "window"),
        "FEEDBACK_METRICS_PORT": worker,
        "FEEDBACK_LINGER_SECONDS": "0.5",
        "TRAINER_STATE": str(folder / "trainer"),
        "TRAINER_METRICS_PORT": trainer,
        "OPS_METRICS_PORT": ops,
        "OPS_PORT": api,
        "OPS_KEY": KEY,
        "OPS_TICK_SECONDS": "0.5",
        "OPS_STEPS_PERCENT": "50",
    }
    env = {k: v for k, v in os.environ.items() if not k.startswith("THUMBWHEEL_")}
    return env | {f"THUMBWHEEL_{name}": value for name, value in said.items()}
