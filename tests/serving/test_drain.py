"""Processes that end: the gateway when it is told to, an engine when it is killed."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from feedback.log import open_log
from tests.free import free_ports
from tests.serving.conftest import Stage
from tests.serving.gateway import MESSAGES, SECRET, Gateway, gateway_app, settings_for, until
from tests.serving.scripted import WORDS, ScriptedEngine
from tests.serving.servers import served

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
KEEP_ALIVE_SECONDS = 5  # uvicorn's own
BODY = {"model": "model", "messages": MESSAGES}
ENGINE = """
import sys, uvicorn
from tests.serving.scripted import ScriptedEngine
app = ScriptedEngine(word_seconds=0.01).app()
uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
"""


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False


@contextmanager
def process(url: str, *command: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """It runs, and answers at this address."""
    env = {"PYTHONPATH": str(ROOT), **env}
    with subprocess.Popen([sys.executable, *command], env=env, cwd=ROOT) as started:
        try:
            until(lambda: answers(url), 60)
            yield started
        finally:
            started.kill()


@contextmanager
def gateway_process(folder: Path, engine_url: str) -> Iterator[tuple[str, Any]]:
    (port,) = free_ports(1)
    settings = {
        "LOG": f"sqlite:///{folder}/log.db",
        "SECRET": SECRET,
        "ENGINE_URL": engine_url,
        "SERVING_SPOOL": str(folder / "spool"),
        "SERVING_FIRST_STABLE": "model-v1",
        "SERVING_PORT": str(port),
    }
    env = {f"THUMBWHEEL_{name}": value for name, value in settings.items()}
    url = f"http://127.0.0.1:{port}"
    with process(f"{url}/readyz", "-m", "serving", **env) as gateway:
        yield url, gateway


def test_a_gateway_that_is_told_to_end_lets_its_answers_end_first(
    tmp_path: Path, stage: Stage, engine: ScriptedEngine
) -> None:
    engine.word_seconds = 0.7
    chat = "/v1/chat/completions"
    with gateway_process(tmp_path, stage.url) as (url, gateway), httpx.Client(timeout=30) as http:
        with http.stream("POST", url + chat, json=BODY | {"stream": True}) as response:
            lines = response.iter_lines()
            next(lines)
            gateway.terminate()
            until(lambda: not answers(f"{url}/healthz"))
            assert gateway.poll() is None  # it waits for the answer
            with pytest.raises(httpx.ConnectError):
                httpx.post(url + chat, json=BODY, trust_env=False)
            rest = "\n".join(lines)
        assert all(word in rest for word in WORDS) and rest.endswith("data: [DONE]\n")
        said = {"completion_id": response.headers["x-thumbwheel-completion"], "thumb": "up"}
        told = http.post(f"{url}/v1/feedback", json=said)  # by the connection that is there
        assert (told.status_code, told.headers["connection"]) == (202, "close")
        assert gateway.wait(30) == 0
    with closing(open_log(f"sqlite:///{tmp_path}/log.db")) as log, httpx.Client() as none:
        (kept,) = Gateway(url, engine, log, none).completions()
    assert (kept.answer, kept.error) == ("".join(WORDS), None)


def test_who_asks_on_an_open_connection_while_the_gateway_ends_is_answered(
    tmp_path: Path, stage: Stage
) -> None:
    chat = "/v1/chat/completions"
    with gateway_process(tmp_path, stage.url) as (url, gateway), httpx.Client(timeout=30) as http:
        assert http.post(url + chat, json=BODY).headers.get("connection") != "close"
        gateway.terminate()
        until(lambda: not answers(f"{url}/healthz"))
        last = http.post(url + chat, json=BODY)
        assert (last.status_code, last.headers["connection"]) == (200, "close")
        assert gateway.wait(30) == 0


def test_connections_on_which_nobody_asks_end_as_ever(tmp_path: Path, stage: Stage) -> None:
    with gateway_process(tmp_path, stage.url) as (url, gateway), httpx.Client(timeout=30) as http:
        http.get(f"{url}/healthz")
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)):
            time.sleep(0.5)  # until it is taken
            gateway.terminate()
            assert gateway.wait(KEEP_ALIVE_SECONDS + 10) == 0  # 30 are for answers, 60 for requests


def test_an_engine_that_is_killed_under_load_fails_nobody(tmp_path: Path) -> None:
    with ExitStack() as until_the_end:
        enter = until_the_end.enter_context
        urls = [f"http://127.0.0.1:{port}" for port in free_ports(3)]
        engines = [
            enter(process(f"{url}/health", "-c", ENGINE, url.rpartition(":")[2])) for url in urls
        ]
        settings = settings_for(tmp_path, ",".join(urls), serving_first_stable="model-v1")
        log = enter(closing(open_log(settings.log)))
        url = enter(served(gateway_app(settings, until_the_end)))
        http = enter(httpx.Client(base_url=url, timeout=30))
        gateway = Gateway(url, ScriptedEngine(), log, http)

        def ask(number: int) -> int:
            if number == 100:
                engines[1].kill()
            return gateway.ask(user=f"user{number}").status_code

        with ThreadPoolExecutor(16) as pool:
            statuses = list(pool.map(ask, range(400)))
        assert statuses == [200] * 400
        up = [gateway.metric(f'thumbwheel_serving_engine_up{{engine="{one}"}}') for one in urls]
        assert up == [1, 0, 1]
        assert len({one.id for one in gateway.completions(400)}) == 400
