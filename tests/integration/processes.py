"""The gateway and the worker as processes of their own: killed by pid, and started again."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from ops.demo.brokers import Broker
from tests.free import free_ports
from tests.serving.gateway import SECRET

ROOT = Path(__file__).parents[2]
START_SECONDS = 120.0


@dataclass
class Room:
    """`python -m` one room."""

    name: str
    answers: str  # with 200 where it is ready
    env: dict[str, str]
    output: Path
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.name],
                cwd=ROOT,
                env=self.env,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def wait(self) -> None:
        assert self.process is not None
        ends = time.monotonic() + START_SECONDS
        while not self._is_ready():
            assert self.process.poll() is None, f"{self.name} ended: {tail(self)}"
            assert time.monotonic() < ends, f"{self.name} is not ready: {tail(self)}"
            time.sleep(0.1)

    def _is_ready(self) -> bool:
        try:
            found = httpx.get(self.answers, timeout=5, trust_env=False, verify=False)
        except httpx.TransportError:
            return False
        return found.status_code == httpx.codes.OK


Victim = Room | Broker  # what can be killed and started again


def tail(victim: Victim) -> str:
    output = victim.output if isinstance(victim, Room) else victim.folder / "output"
    return output.read_text(errors="replace")[-3000:]


@dataclass(frozen=True)
class Pair:
    """A gateway and a worker that share nothing but the log."""

    gateway: Room
    worker: Room
    url: str  # of the gateway
    log: str
    examples: Path
    spool: Path


@contextmanager
def running(folder: Path, log: str, engine: str) -> Iterator[Pair]:
    """Both ready, in this folder; at the end both are killed."""
    folder.mkdir(parents=True, exist_ok=True)
    pair = _laid_out(folder, log, engine)
    try:
        for room in (pair.gateway, pair.worker):
            room.start()
        for room in (pair.gateway, pair.worker):
            room.wait()
        yield pair
    finally:
        for room in (pair.gateway, pair.worker):
            room.kill()


def _laid_out(folder: Path, log: str, engine: str) -> Pair:
    gateway_port, worker_port = free_ports(2)
    url = f"http://127.0.0.1:{gateway_port}"
    env = {k: v for k, v in os.environ.items() if not k.startswith("THUMBWHEEL_")} | {
        "THUMBWHEEL_LOG": log,
        "THUMBWHEEL_SECRET": SECRET,
        "THUMBWHEEL_ENGINE_URL": engine,
        "THUMBWHEEL_EXAMPLES": str(folder / "examples"),
        "THUMBWHEEL_SERVING_PORT": str(gateway_port),
        "THUMBWHEEL_SERVING_SPOOL": str(folder / "spool"),
        "THUMBWHEEL_SERVING_FIRST_STABLE": "model-v1",
        "THUMBWHEEL_FEEDBACK_WINDOW": str(folder / "window"),
        "THUMBWHEEL_FEEDBACK_METRICS_PORT": str(worker_port),
        "THUMBWHEEL_FEEDBACK_LINGER_SECONDS": "0.2",
    }
    return Pair(
        gateway=Room("serving", f"{url}/readyz", env, folder / "gateway.out"),
        worker=Room("feedback", f"http://127.0.0.1:{worker_port}/metrics", env, folder / "w.out"),
        url=url,
        log=log,
        examples=folder / "examples",
        spool=folder / "spool",
    )
