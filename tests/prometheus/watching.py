"""A real Prometheus and Alertmanager over any processes, and somebody whom they notify.

The rules are those of ops/alerts, in a minute's stead a second.
"""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.prometheus.programs import ROOT, program

START_SECONDS = 60.0
PATIENCE_SECONDS = 60.0
Running = AbstractContextManager[subprocess.Popen[bytes]]
_SHORTER = {"d": "h", "h": "m", "m": "s"}


def shortened(rules: str) -> str:
    """A minute lasts a second, an hour a minute; and a day an hour, for want of a unit."""
    return re.sub(r"\b(\d+)([dhm])\b", lambda found: found[1] + _SHORTER[found[2]], rules)


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


def load_rules(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Not before all are scraped: Prometheus takes 5 s to begin, which here are five minutes."""
    for file in (ROOT / "ops/alerts").glob("*.yaml"):
        (folder / f"rules-{file.name}").write_text(shortened(file.read_text()))
    process.send_signal(signal.SIGHUP)


def prometheus(folder: Path, url: str, jobs: Mapping[str, str], notified: str) -> Running:
    told = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"},
        "rule_files": [f"{folder}/rules-*.yaml"],
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": [_target(at)]}]}
            for name, at in jobs.items()
        ],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [_target(notified)]}]}]},
    }
    (folder / "prometheus.yml").write_text(json.dumps(told))
    argv = [
        program("prometheus"),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/prometheus",
        f"--web.listen-address={_target(url)}",
    ]
    return running(argv, folder, dict(os.environ), f"{url}/-/ready")


def alertmanager(folder: Path, url: str, *, everything: str, rolls_back: str, key: str) -> Running:
    """Everything is told to the receiver; what rolls back to the control API first."""
    authorized = {"authorization": {"credentials": key}}
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
            {"name": "everything", "webhook_configs": [{"url": everything}]},
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
    return running(argv, folder, dict(os.environ), f"{url}/-/ready")


def _target(url: str) -> str:
    return url.removeprefix("http://")


@contextmanager
def running(
    argv: list[str], folder: Path, env: dict[str, str], ready: str
) -> Iterator[subprocess.Popen[bytes]]:
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
        yield process
    finally:
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False
