"""The real gateway on a real port, with a scripted engine behind it."""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp

from feedback.events import VERDICT_KINDS, Completion, Event, decode, encode
from feedback.log import Log, read_all
from serving.__main__ import over_http
from serving.api import build
from serving.settings import Settings
from serving.split import SPLIT_KEY, Split
from serving.wiring import wire
from tests.serving.scripted import ScriptedEngine

SECRET = "a secret for tests"
MESSAGES = [{"role": "user", "content": "Say hello"}]


def settings_for(folder: Path, engine_url: str, **more: Any) -> Settings:
    return Settings(
        log=f"sqlite:///{folder}/log.db",
        secret=SECRET,
        engine_url=engine_url,
        serving_spool=folder / "spool",
        **more,
    )


def keys_for(folder: Path, **apps: str) -> Path:
    """A file of keys, with these lines for each app."""
    path = folder / "keys.toml"
    hashed = {app: sha256(f"key-of-{app}".encode()).hexdigest() for app in apps}
    path.write_text("".join(f'[{a}]\nsha256 = "{hashed[a]}"\n{apps[a]}\n' for a in apps))
    return path


def key_of(app: str) -> dict[str, str]:
    return {"authorization": f"Bearer key-of-{app}"}


def split(revision: int = 1, stable: str = "model-v1", **more: Any) -> Split:
    return Split(
        at=datetime.now(UTC), revision=revision, stable=stable, reason="test", by="test", **more
    )


def gateway_app(settings: Settings, until_the_end: ExitStack) -> ASGIApp:
    return build(wire(settings, over_http(settings), until_the_end))


@dataclass
class Gateway:
    url: str
    engine: ScriptedEngine
    log: Log
    http: httpx.Client

    def decide(self, decided: Split) -> None:
        """Put a split on the log, and wait until it is in force."""
        self.log.append("split", SPLIT_KEY, encode(decided))
        until(lambda: self.http.get("/readyz").json().get("split_revision") == decided.revision)

    def ask(self, model: str = "model", **more: Any) -> httpx.Response:
        headers = more.pop("headers", {})
        body = {"model": model, "messages": MESSAGES} | more
        return self.http.post("/v1/chat/completions", json=body, headers=headers)

    def stream(self, **more: Any) -> tuple[httpx.Response, list[dict[str, Any]]]:
        """The response, and its parts without the end mark."""
        response = self.ask(stream=True, **more)
        *parts, end = response.text.removesuffix("\n\n").split("\n\n")
        assert end == "data: [DONE]"
        return response, [json.loads(part.removeprefix("data: ")) for part in parts]

    def completions(self, count: int = 1) -> list[Completion]:
        """What is remembered, once it is as many."""
        until(lambda: len(list(read_all(self.log, "completions"))) >= count)
        return [decode(r.value, (Completion,)) for r in read_all(self.log, "completions")]

    def verdicts(self) -> list[Event]:
        return [decode(record.value, VERDICT_KINDS) for record in read_all(self.log, "verdicts")]

    def metric(self, line: str) -> float:
        """The number behind `name{labels}`, or 0."""
        page = self.http.get("/metrics").text.splitlines()
        return next((float(x.rpartition(" ")[2]) for x in page if x.startswith(line + " ")), 0.0)


def until(claim: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)
