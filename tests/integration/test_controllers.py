"""Two real controllers on one log, killed again and again: the split moves as if there were one."""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from types import MappingProxyType

import httpx
import pytest

from feedback.events import BASE
from feedback.log import read_all
from ops import history
from ops.demo.brokers import brokers
from serving.split import Split, decode_split
from tests.free import free_ports
from tests.integration.processes import Room, tail
from tests.ops.made import Place
from tests.serving.scripted import ScriptedEngine
from tests.serving.servers import served

pytestmark = pytest.mark.integration
LEASE_SECONDS = 1.0


@pytest.fixture(params=["sqlite", "kafka"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        url = None
        if request.param == "kafka":
            (broker,) = stack.enter_context(brokers(tmp_path / "kafka"))
            url = f"kafka://{broker.address}?partitions=1"
        place = Place(tmp_path, url)
        stack.callback(place.log.close)
        yield place


@contextmanager
def controllers(
    place: Place, engine: str, count: int = 2, more: Mapping[str, str] = MappingProxyType({})
) -> Iterator[list[Room]]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("THUMBWHEEL_")}
    env = inherited | {
        "THUMBWHEEL_HOME": str(place.home),
        "THUMBWHEEL_LOG": place.log_url,
        "THUMBWHEEL_NAME": "m",
        "THUMBWHEEL_ENGINE_URL": engine,
        "THUMBWHEEL_OPS_TICK_SECONDS": "0.05",
        "THUMBWHEEL_OPS_LEASE_SECONDS": str(LEASE_SECONDS),
        "THUMBWHEEL_OPS_STEPS_PERCENT": "10,50",
        "THUMBWHEEL_OPS_STEP_MIN_SECONDS": "0",
        "THUMBWHEEL_OPS_STEP_MIN_COMPLETIONS": "10",
        "THUMBWHEEL_OPS_MAX_KL_STABLE": "none",
        "THUMBWHEEL_OPS_MAX_KL_BASE": "none",
    }
    rooms = [_room(place.home, env | dict(more), number) for number in range(count)]
    try:
        for room in rooms:
            room.start()
        for room in rooms:
            room.wait()
        yield rooms
    finally:
        for room in rooms:
            room.kill()


def _room(home: Path, env: dict[str, str], number: int) -> Room:
    metrics, api = free_ports(2)
    own = {"THUMBWHEEL_OPS_METRICS_PORT": str(metrics), "THUMBWHEEL_OPS_PORT": str(api)}
    answers = f"http://127.0.0.1:{metrics}/metrics"
    return Room("ops", answers, env | own, home / f"ops-{number}.out")


def leads(room: Room) -> bool:
    page = httpx.get(room.answers, trust_env=False).text
    return "thumbwheel_ops_leads 1.0" in page


def failed_ticks(room: Room) -> float:
    page = httpx.get(room.answers, trust_env=False).text
    (found,) = re.findall(r"^thumbwheel_ops_failed_ticks_total (\S+)$", page, re.M)
    return float(found)


def split(place: Place) -> Split:
    return history.splits(place.log)[-1]


def wait_for(what: Callable[[], object], room: Room) -> None:
    ends = time.monotonic() + 30
    while not what():
        assert time.monotonic() < ends, tail(room)
        time.sleep(0.05)


def test_one_leads_and_another_takes_over_where_it_is_killed_or_ends(place: Place) -> None:
    with served(ScriptedEngine().app()) as engine, controllers(place, engine) as rooms:
        wait_for(lambda: any(map(leads, rooms)), rooms[0])
        time.sleep(3 * LEASE_SECONDS)
        assert [leads(room) for room in rooms].count(True) == 1
        first, second = sorted(rooms, key=leads, reverse=True)
        first.kill()
        wait_for(lambda: leads(second), second)
        first.start()
        first.wait()
        assert second.process is not None
        second.process.terminate()
        second.process.wait(timeout=20)
        began = time.monotonic()
        wait_for(lambda: leads(first), first)
        print(f"led {time.monotonic() - began:.2f} s after the other ended in order")


def test_a_file_that_nobody_can_read_ends_no_controller(place: Place) -> None:
    """It judges nothing and says so, and goes on once the file is gone."""
    engine = ScriptedEngine(known={"m-v1"})
    with served(engine.app()) as url, controllers(place, url, count=1) as (room,):
        wait_for(lambda: history.splits(place.log), room)
        place.publish("m-v1")
        wait_for(lambda: split(place).canary == "m-v1", room)
        broken = place.examples / "0000-000000000009-000000000009.parquet"
        broken.parent.mkdir(exist_ok=True)
        broken.write_bytes(b"not Parquet")
        wait_for(lambda: failed_ticks(room) > 2, room)
        assert "BadExamples" in tail(room)
        assert leads(room)  # its alerts are heard
        broken.unlink()
        time.sleep(0.5)
        before = failed_ticks(room)
        time.sleep(0.5)
        assert failed_ticks(room) == before
        assert room.process is not None and room.process.poll() is None


def test_killed_at_any_moment_they_make_each_move_once(place: Place) -> None:
    random, engine = Random(1), ScriptedEngine(known={"m-v1"})
    with served(engine.app()) as url, controllers(place, url) as rooms:
        wait_for(lambda: history.splits(place.log), rooms[0])
        place.publish("m-v1")
        killing = _kills(rooms, random)
        _while(killing, lambda: split(place).canary == "m-v1")
        place.serve_both(split(place).revision, {BASE: (20, 80), "m-v1": (9, 1)})
        _while(killing, lambda: split(place).share_percent == 50.0)
        place.serve_both(split(place).revision, {BASE: (20, 80), "m-v1": (90, 10)})
        _while(killing, lambda: split(place).stable == "m-v1")
        for _ in range(3):
            next(killing)
        wait_for(lambda: len(history.moves(place.log)) == 3, rooms[0])
    moves = [(move.action, move.adapter) for move in history.moves(place.log)]
    assert moves == [("started", "m-v1"), ("stepped", "m-v1"), ("promoted", "m-v1")]
    written = [decode_split(record.value).revision for record in read_all(place.log, "split")]
    assert sorted(set(written)) == [1, 2, 3, 4]
    assert [one.revision for one in history.splits(place.log)] == [1, 2, 3, 4]


def _kills(rooms: list[Room], random: Random) -> Iterator[None]:
    """One of them, at some moment; it is started again at once."""
    while True:
        time.sleep(random.uniform(0, 2 * LEASE_SECONDS))
        room = random.choice(rooms)
        room.kill()
        room.start()
        yield
        room.wait()


def _while(killing: Iterator[None], done: Callable[[], bool]) -> None:
    ends = time.monotonic() + 90
    while not done():
        assert time.monotonic() < ends
        next(killing)
