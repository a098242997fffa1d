"""A real Chromium, a page, and on another origin a gateway. To run these tests against another
gateway, put other fixtures in place of `gateway_app`, `new_token`, `pair` and `stale_token`."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, sync_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from tests.browser import gateway
from tests.browser.front import Front
from tests.browser.reader import Reader
from tests.serving.servers import served


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
def gateway_app(site: Site) -> ASGIApp:
    return gateway.build(site.url)


@pytest.fixture
def new_token() -> Callable[[], str]:
    return gateway.token


@pytest.fixture
def token(new_token: Callable[[], str]) -> str:
    return new_token()


@pytest.fixture
def pair() -> str:
    """A token of two answers side by side."""
    return gateway.pair()


@pytest.fixture
def stale_token() -> tuple[str, str]:
    """A token that the gateway refuses for good, and what it says of it."""
    return gateway.STALE, gateway.TOO_OLD


@pytest.fixture
def front(gateway_app: ASGIApp, site: Site) -> Iterator[Front]:
    """The gateway's address."""
    front = Front(gateway_app, site.url)
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
