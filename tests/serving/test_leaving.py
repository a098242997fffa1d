"""What an engine takes while it is about to be stopped; test_resolver.py has a real one."""

import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from serving.leaving import Leaving

pytestmark = pytest.mark.anyio


async def _app(scope: object, receive: object, send: Callable[[object], Awaitable[None]]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"yes"})


async def asked(told: Path, method: str, since: float) -> httpx.Response:
    transport = httpx.ASGITransport(Leaving(_app, told, since))
    async with httpx.AsyncClient(transport=transport, base_url="http://engine") as client:
        return await client.request(method, "/v1/chat/completions")


async def test_until_it_is_told_it_takes_all(tmp_path: Path) -> None:
    assert (await asked(tmp_path / "leaving", "POST", 0)).text == "yes"


async def test_once_told_it_takes_nothing_new_and_still_says_how_it_is(tmp_path: Path) -> None:
    told = tmp_path / "leaving"
    told.touch()
    refused = await asked(told, "POST", 0)
    assert refused.status_code == 503
    assert refused.headers["connection"] == "close"
    assert refused.json()["error"]["message"] == "this engine is being stopped"
    assert (await asked(told, "GET", 0)).text == "yes"


async def test_what_a_former_life_was_told_does_not_count(tmp_path: Path) -> None:
    told = tmp_path / "leaving"
    told.touch()
    now = time.time()
    os.utime(told, (now - 60, now - 60))
    assert (await asked(told, "POST", now)).text == "yes"
