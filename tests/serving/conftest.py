from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from feedback.log import open_log
from serving.middleware import Middleware
from tests.serving.gateway import Gateway, gateway_app, settings_for, split, until
from tests.serving.scripted import ScriptedEngine
from tests.serving.servers import served


class Stage:
    """One port for all scripted engines: a server takes a moment to stop."""

    actor: ScriptedEngine
    url: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.actor.app()(scope, receive, send)


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    stage = Stage()
    stage.actor = ScriptedEngine()
    with served(stage) as stage.url:
        yield stage


@pytest.fixture
def engine(stage: Stage) -> ScriptedEngine:
    stage.actor = ScriptedEngine()
    return stage.actor


# The same code in both places, so the same is expected of it.
PLACES = [pytest.param("before"), pytest.param("inside", marks=pytest.mark.integration)]


@pytest.fixture(params=PLACES)
def undecided(
    request: pytest.FixtureRequest, tmp_path: Path, stage: Stage, engine: ScriptedEngine
) -> Iterator[Gateway]:
    """A gateway that knows no split yet: before an engine's server, or inside it."""
    with ExitStack() as until_the_end:
        enter = until_the_end.enter_context
        settings = settings_for(tmp_path, stage.url)
        log = enter(closing(open_log(settings.log)))
        app: ASGIApp = Middleware(stage, settings)
        if request.param == "before":
            app = gateway_app(settings, until_the_end)
        url = enter(served(app))
        yield Gateway(url, engine, log, enter(httpx.Client(base_url=url, timeout=10, verify=False)))


@pytest.fixture
def started(
    tmp_path: Path, stage: Stage, engine: ScriptedEngine
) -> Iterator[Callable[..., Gateway]]:
    """Starts a gateway with these settings, and `model-v1` as stable."""
    with ExitStack() as until_the_end:
        enter = until_the_end.enter_context

        def start(**more: Any) -> Gateway:
            more = {"engine_url": stage.url, "serving_first_stable": "model-v1"} | more
            settings = settings_for(tmp_path, more.pop("engine_url"), **more)
            log = enter(closing(open_log(settings.log)))
            url = enter(served(gateway_app(settings, until_the_end)))
            http = enter(httpx.Client(base_url=url, timeout=10, verify=False))
            until(lambda: http.get("/readyz").is_success)
            return Gateway(url, engine, log, http)

        yield start


@pytest.fixture
def gateway(undecided: Gateway) -> Gateway:
    """A gateway with `model-v1` as stable."""
    undecided.decide(split())
    return undecided
