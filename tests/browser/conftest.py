"""A real Chromium, a page, and on another origin the gateway."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import time

import pytest
from playwright.sync_api import Browser, sync_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from serving.settings import Settings
from serving.tokens import Grant, Tokens
from serving.wiring import token_keys
from tests.browser.front import Front
from tests.browser.reader import Reader
from tests.serving.gateway import gateway_app, settings_for
from tests.serving.servers import served

DAY = 86_400  # seconds


@dataclass
class Site:
    """An app's pages, by their path. Their origin is not the gateway's."""

    url: str = ""
    pages: dict[str, str] = field(default_factory=dict)

    def answer(self, request: Request) -> Response:
        path = request.url.path
        kind = "text/javascript" if path.endswith(".js") else "text/html"
        return Response(self.pages.get(path, ""), media_type=kind)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    with served(Starlette(routes=[Route("/{path:path}", site.answer)])) as site.url:
        yield site


@pytest.fixture
def settings(tmp_path: Path, site: Site) -> Settings:
    """No engine is needed: the answers were given before."""
    return settings_for(tmp_path, "http://127.0.0.1:9", serving_origins=site.url)


@pytest.fixture
def app(settings: Settings) -> Iterator[ASGIApp]:
    with ExitStack() as until_the_end:
        yield gateway_app(settings, until_the_end)


@pytest.fixture
def new_token(settings: Settings) -> Callable[[], str]:
    """As an app's backend gets one with an answer."""
    tokens, numbers = Tokens(token_keys(settings)), count(1)

    def new() -> str:
        number = next(numbers)
        return tokens.sign(Grant(f"chatcmpl-{number}", f"user-{number}", int(time()) + DAY))

    return new


@pytest.fixture
def token(new_token: Callable[[], str]) -> str:
    return new_token()


@pytest.fixture
def pair(new_token: Callable[[], str]) -> str:
    """Of two answers side by side: they have one token."""
    return new_token()


@pytest.fixture
def stale_token(settings: Settings) -> tuple[str, str]:
    """A token that the gateway refuses for good, and what it says of it."""
    grant = Grant("chatcmpl-0", "user-0", int(time()) - DAY)
    said = "the feedback token expired 24.0 hours ago"
    return Tokens(token_keys(settings)).sign(grant), said


@pytest.fixture
def front(app: ASGIApp, site: Site) -> Iterator[Front]:
    """The gateway's address."""
    front = Front(app, site.url)
    site.pages["/"] = f'<!doctype html><script src="{front.url}/thumbwheel.js"></script>'
    front.back()
    yield front
    front.away()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser that is named, or Debian's."""
    path = os.environ.get("THUMBWHEEL_TEST_BROWSER") or shutil.which("chromium")
    assert path, (
        "no chromium on the PATH: run tests/browser/install, or set THUMBWHEEL_TEST_BROWSER"
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def reader(browser: Browser, site: Site) -> Iterator[Reader]:
    """Whatever happens, the page's own code says nothing on the console."""
    context = browser.new_context()
    reader = Reader(context, site.url)
    yield reader
    context.close()
    assert reader.complaints == []
