"""`python -m trainer.score` as a process of its own: killed, started again, told to end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from feedback.log import Log, open_log
from tests.trainer.live import answered, move, publish_strange, scores, serve
from trainer.policy import Policy

pytestmark = pytest.mark.integration
STABLE, CANARY = "tiny-v1", "tiny-v2"
PATIENCE_SECONDS = 400.0  # it gives way to whatever else is at work here


@pytest.fixture
def env(tiny_model: Path, tmp_path: Path) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("THUMBWHEEL_")}
    return clean | {
        "THUMBWHEEL_LOG": f"sqlite:///{tmp_path}/log.db",
        "THUMBWHEEL_ADAPTERS": str(tmp_path / "adapters"),
        "THUMBWHEEL_TRAINER_STATE": str(tmp_path / "state"),
        "THUMBWHEEL_MODEL": str(tiny_model),
        "THUMBWHEEL_NAME": "tiny",
    }


@pytest.fixture
def log(env: dict[str, str]) -> Iterator[Log]:
    with closing(open_log(env["THUMBWHEEL_LOG"])) as opened:
        move(opened, 1, STABLE, CANARY)
        yield opened


@pytest.fixture
def canary(tiny_model: Path, tmp_path: Path) -> Policy:
    publish_strange(tiny_model, tmp_path / "adapters", STABLE, seed=1)
    return publish_strange(tiny_model, tmp_path / "adapters", CANARY, seed=2)


@contextmanager
def scoring(env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-m", "trainer.score"], env=env)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def serve_until_scored(log: Log, canary: Policy, process: subprocess.Popen[bytes]) -> None:
    before, ends = len(scores(log)), time.monotonic() + PATIENCE_SECONDS
    while len(scores(log)) == before:
        assert process.poll() is None
        assert time.monotonic() < ends, "nothing is scored"
        serve(log, answered(canary, CANARY, [(5, 6, 7), (10,)]))
        time.sleep(0.5)


def test_killed_and_started_again_it_goes_on(log: Log, canary: Policy, env: dict[str, str]) -> None:
    with scoring(env) as process:
        serve_until_scored(log, canary, process)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == 19
        process.kill()
    with scoring(env) as process:
        serve_until_scored(log, canary, process)
        process.terminate()
        assert process.wait(30) == 0
    assert {(score.adapter, score.stable) for score in scores(log)} == {(CANARY, STABLE)}
    assert all(score.served != score.under_stable for score in scores(log))


def test_with_none_a_minute_it_only_waits_to_be_ended(
    log: Log, canary: Policy, env: dict[str, str]
) -> None:
    with scoring(env | {"THUMBWHEEL_TRAINER_SCORE_PER_MINUTE": "0"}) as process:
        for _ in range(6):
            serve(log, answered(canary, CANARY, [(5, 6, 7)]))
            time.sleep(0.5)
        assert process.poll() is None
        mapped = Path(f"/proc/{process.pid}/maps").read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert scores(log) == []
    assert "libtorch" not in mapped
