"""Processes of a demo end with whoever waits for them, and say why they failed."""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.demo.processes import Broken, come_up, keep_up, run, thumbwheel
from ops.demo.stage import PLAN, Stage
from trainer.plan_file import read_plan

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


def test_no_two_ports_are_the_same(stage: Stage) -> None:
    assert len({str(stage.port), *stage.ports.values()}) == 6


def test_the_plan_can_be_read() -> None:
    assert read_plan(PLAN).sft_weight == 3.0


async def test_a_command_that_fails_shows_its_last_words(tmp_path: Path) -> None:
    await run(tmp_path / "log", sys.executable, "-c", "print('fine')")
    with pytest.raises(Broken, match=r"(?s)ended with 3.*too bad"):
        await run(tmp_path / "log", sys.executable, "-c", "print('too bad'); exit(3)")


async def test_a_command_does_not_outlive_who_waits_for_it(tmp_path: Path) -> None:
    code = "print('here', flush=True); import time; time.sleep(60)"
    waiting = asyncio.create_task(run(tmp_path / "log", sys.executable, "-c", code))
    await _until_written(tmp_path / "log")
    waiting.cancel()
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert time.monotonic() - began < 10


async def test_a_command_knows_the_home(stage: Stage) -> None:
    with pytest.raises(Broken, match="has no log"):
        await thumbwheel(stage, "status")


async def test_a_loop_that_never_comes_up_is_given_up(stage: Stage) -> None:
    said: list[str] = []
    coming = asyncio.create_task(come_up(stage))
    with pytest.raises(Broken, match="1 times"):
        await keep_up(stage, said.append, tries=1)
    assert "expected a folder with a config.json" in said[0]
    assert not coming.done()
    coming.cancel()


async def test_a_loop_that_ended_is_not_started_again_at_once(stage: Stage) -> None:
    said: list[str] = []
    keeping = asyncio.create_task(keep_up(stage, said.append, tries=2, pause_seconds=600))
    await _until(lambda: bool(said))
    with pytest.raises(TimeoutError):  # without a pause the second try ends within a second
        await asyncio.wait_for(keeping, 2)
    assert len(said) == 1


async def _until_written(log: Path) -> None:
    await _until(lambda: _written(log))


async def _until(true: Callable[[], bool]) -> None:
    for _ in range(600):
        if true():
            return
        await asyncio.sleep(0.05)
    pytest.fail("it did not come true")


def _written(log: Path) -> bool:
    return log.exists() and bool(log.read_text())
