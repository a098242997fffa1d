"""The loop's processes with a real Prometheus and Alertmanager over them, and who they notify.

The rules are those of ops/alerts, in a minute's stead a second.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from feedback.events import BASE
from tests.free import free_ports
from tests.integration.users import Users
from tests.ops.made import PASSED, Place
from tests.prometheus.programs import program
from tests.serving.gateway import SECRET
from tests.serving.scripted import ScriptedEngine
from tests.serving.servers import served
from trainer.adapters import Estimate
from trainer.past import Ended
from trainer.record import Record

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
PATIENCE_SECONDS = 60.0
KEY = "a key for tests"
_SHORTER = {"d": "h", "h": "m", "m": "s"}


def shortened(rules: str) -> str:
    """A minute lasts a second, an hour a minute; and a day an hour, for want of a unit."""
    return re.sub(r"\b(\d+)([dhm])\b", lambda found: found[1] + _SHORTER[found[2]], rules)


class Engine(ScriptedEngine):
    async def metrics(self, _: Request) -> Response:
        names = ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc")
        return Response("".join(f"vllm:{name} 0.0\n" for name in names))


@dataclass
class Told:
    """What Alertmanager said, in order: the alert's name and how it is."""

    heard: list[tuple[str, str]] = field(default_factory=list)

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/", self._hear, methods=["POST"])])

    async def _hear(self, request: Request) -> Response:
        for alert in (await request.json())["alerts"]:
            self.heard.append((alert["labels"]["alertname"], alert["status"]))
        return Response()


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


def until(
    claim: Callable[[], bool],
    complaint: str,
    told: Callable[[], str] = str,
    seconds: float = PATIENCE_SECONDS,
) -> None:
    ends = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < ends, f"{complaint}: {told()}"
        time.sleep(0.1)


@contextmanager
def stack(folder: Path) -> Iterator[Stack]:
    """All of it ready, with users who come and rate; at the end all of it is ended."""
    engine, told, place = Engine(), Told(), Place(folder)
    engine.known |= {f"model-v{number}" for number in range(1, 10)}
    ports = free_ports(7)
    gateway, worker, trainer, ops, api, prometheus, alertmanager = (
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
            enter(_running([sys.executable, "-m", *name.split()], folder, env, ready))
        jobs = {"serving": gateway, "feedback": worker, "trainer": trainer, "ops": ops}
        jobs["vllm"] = vllm
        enter(_alertmanager(folder, alertmanager, receiver, f"{api}/v1/alerts"))
        enter(_prometheus(folder, prometheus, jobs, alertmanager))
        users = enter(Users(gateway).coming())
        yield Stack(place, engine, users, told, prometheus, gateway, api)


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


def _prometheus(folder: Path, url: str, jobs: Mapping[str, str], alertmanager: str) -> Any:
    for file in (ROOT / "ops/alerts").glob("*.yaml"):
        (folder / f"rules-{file.name}").write_text(shortened(file.read_text()))
    told = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"},
        "rule_files": [f"{folder}/rules-*.yaml"],
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": [_target(at)]}]}
            for name, at in jobs.items()
        ],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [_target(alertmanager)]}]}]},
    }
    (folder / "prometheus.yml").write_text(json.dumps(told))
    argv = [
        program("prometheus"),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/prometheus",
        f"--web.listen-address={_target(url)}",
    ]
    return _running(argv, folder, dict(os.environ), f"{url}/-/ready")


def _alertmanager(folder: Path, url: str, receiver: str, rolls_back: str) -> Any:
    """Everything is told to the receiver; what rolls back to the control API first."""
    authorized = {"authorization": {"credentials": KEY}}
    told = {
        "route": {
            "receiver": "everything",
            "group_by": ["..."],
            "group_wait": "0s",
            "group_interval": "1s",
            "routes": [
                {
                    "receiver": "thumbwheel",
                    "matchers": ['thumbwheel_action="rollback"'],
                    "continue": True,
                },
                {"receiver": "everything"},
            ],
        },
        "receivers": [
            {"name": "everything", "webhook_configs": [{"url": receiver}]},
            {
                "name": "thumbwheel",
                "webhook_configs": [{"url": rolls_back, "http_config": authorized}],
            },
        ],
    }
    (folder / "alertmanager.yml").write_text(json.dumps(told))
    argv = [
        program("alertmanager", "prometheus-alertmanager"),
        f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}/alertmanager",
        f"--web.listen-address={_target(url)}",
        "--cluster.listen-address=",
    ]
    return _running(argv, folder, dict(os.environ), f"{url}/-/ready")


def _target(url: str) -> str:
    return url.removeprefix("http://")


@contextmanager
def _running(argv: list[str], folder: Path, env: dict[str, str], ready: str) -> Iterator[None]:
    output = folder / f"{Path(argv[0]).name}-{'-'.join(argv[2:4]).replace('/', '_')[-40:]}.out"
    with output.open("wb") as file:
        process = subprocess.Popen(
            argv, cwd=ROOT, env=env, stdout=file, stderr=file, start_new_session=True
        )
    try:
        until(
            lambda: process.poll() is not None or _answers(ready),
            f"{argv} is not ready",
            lambda: output.read_text()[-3000:],
            START_SECONDS,
        )
        assert process.poll() is None, output.read_text()[-3000:]
        yield
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False
