"""Who is measured: the engine alone, Thumbwheel before it, and LiteLLM's proxy before it."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from feedback.events import encode
from feedback.log import open_log
from serving.split import SPLIT_KEY, Split
from tests.bench.gateway.load import Seen
from tests.bench.gateway.process import ROOT, Process, start
from tests.free import free_ports

LITELLM = ROOT / ".venv/litellm/bin"
SERVING = ("-m", "serving")
QUIET = {"LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}


@dataclass(frozen=True)
class Peer:
    name: str
    port: int
    process: Process
    log: str | None = None  # where it writes down what it answers
    answered: list[str] = field(default_factory=list)  # ids
    wrong: list[str] = field(default_factory=list)
    tried_once: set[str] = field(default_factory=set)  # loads that are too much for it

    def take(self, seen: Seen) -> None:
        self.answered.extend(seen.ids)
        self.wrong.extend(seen.wrong)


@dataclass(frozen=True)
class Place:
    """Where servers are started, and on which cores."""

    folder: Path
    proxy_core: int
    other_core: int
    engine_port: int

    @property
    def engine_url(self) -> str:
        return f"http://127.0.0.1:{self.engine_port}"

    def engine(self) -> Peer:
        command = [sys.executable, "-m", "tests.bench.gateway.engine", str(self.engine_port)]
        url = f"{self.engine_url}/health"
        return Peer("straight to the engine", self.engine_port, self._start(command, url, {}))

    def thumbwheel(self, program: tuple[str, ...] = SERVING) -> Peer:
        """It logs every answer, and gives a tenth of the users to a canary."""
        (port,) = free_ports(1)
        log = f"sqlite:///{self.folder}/log.db"
        _decide(log)
        env = {
            "THUMBWHEEL_LOG": log,
            "THUMBWHEEL_SECRET": "a secret for the bench",
            "THUMBWHEEL_ENGINE_URL": self.engine_url,
            "THUMBWHEEL_SERVING_PORT": str(port),
            "THUMBWHEEL_SERVING_SPOOL": f"{self.folder}/spool",
        }
        url = f"http://127.0.0.1:{port}/readyz"
        process = self._start([sys.executable, *program], url, env)
        return Peer("Thumbwheel, all logged", port, process, log)

    def litellm(self) -> Peer:
        """It logs nothing: no callbacks, no database, no line of a request."""
        return self._litellm(f"LiteLLM {version()}", QUIET, {})

    def fast_litellm(self) -> Peer:
        """With all that its pages know to make it faster, or to spare it work."""
        spared = {"disable_streaming_logging": True, "disable_token_counter": True}
        env = QUIET | {"LITELLM_MODE": "PRODUCTION"}
        return self._litellm("LiteLLM, its fastest settings", env, spared, "--run_granian")

    def _litellm(
        self, name: str, env: dict[str, str], spared: dict[str, bool], *options: str
    ) -> Peer:
        (port,) = free_ports(1)
        config = self.folder / f"{port}.yaml"
        config.write_text(json.dumps(_litellm_config(self.engine_url, spared)))
        command = [str(LITELLM / "python"), str(LITELLM / "litellm"), "--config", str(config)]
        command += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1", *options]
        url = f"http://127.0.0.1:{port}/health/liveliness"
        return Peer(name, port, self._start(command, url, env))

    def _start(self, command: list[str], ready: str, env: dict[str, str]) -> Process:
        engine = str(self.engine_port) in ready
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        return start(
            command,
            core=self.other_core if engine else self.proxy_core,
            env=kept | env,
            ready=ready,
            output=self.folder / f"{len(list(self.folder.glob('*.out')))}.out",
        )


def version() -> str:
    """Of the LiteLLM that is installed."""
    found = list(LITELLM.parent.glob("lib/python*/site-packages/litellm-*.dist-info"))
    if not found:
        raise SystemExit(f"no LiteLLM in {LITELLM.parent}; expected `make .venv/litellm.installed`")
    return found[0].name.removeprefix("litellm-").removesuffix(".dist-info")


def _decide(log_url: str) -> None:
    split = Split(
        at=datetime.now(UTC),
        revision=1,
        stable="model-v1",
        canary="model-v2",
        share_percent=10,
        salt="bench",
        reason="to be measured",
        by="bench",
    )
    with closing(open_log(log_url)) as log:
        log.append("split", SPLIT_KEY, encode(split))


def _litellm_config(engine_url: str, spared: dict[str, bool]) -> dict[str, object]:
    """JSON is YAML. The engine is one more server that talks as OpenAI's does."""
    how = {"model": "openai/model", "api_base": f"{engine_url}/v1", "api_key": "none"}
    # No key to check: it is asked from this machine alone.
    open_to_all = {"dangerously_permit_weak_or_unset_master_key": True}
    return {
        "model_list": [{"model_name": "model", "litellm_params": how}],
        "litellm_settings": {"callbacks": [], "num_retries": 0, "request_timeout": 60} | spared,
        "general_settings": open_to_all,
    }


@contextmanager
def ended(*peers: Peer) -> Iterator[None]:
    with ExitStack() as ends:
        for peer in peers:
            ends.callback(peer.process.end)
        for peer in peers:
            peer.process.wait()
        yield
