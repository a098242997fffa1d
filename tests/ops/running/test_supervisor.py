import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from feedback.begin import BAD_SETTINGS
from ops.running.keeper import GaveUp
from ops.running.program import NotReady, Program
from ops.running.supervisor import supervise, until_told
from tests.free import free_port
from tests.ops.running.children import QUICK, SERVER, Farm, listens, until

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


@pytest.fixture
def farm(tmp_path: Path) -> Farm:
    return Farm(tmp_path)


async def test_a_program_starts_only_when_the_one_before_it_is_ready(farm: Farm) -> None:
    port = free_port()
    code, args = f"import time; time.sleep(0.5)\n{SERVER}", ("slow", str(port), str(farm.folder))
    slow = farm.program("slow", code, *args, port=port)
    asks = f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{port}')"
    async with farm.running(slow, farm.program("asks", asks)):
        said = farm.said.getvalue()
    assert said.index("slow is ready after") < said.index("asks is started")
    assert "asks is done after" in said


async def test_a_killed_program_is_started_again_and_its_health_is_told_again(farm: Farm) -> None:
    async with farm.running(farm.server("serving", free_port())):
        first = farm.pid("serving")
        os.kill(first, signal.SIGKILL)
        await farm.hears("serving is ready after", times=2)
        assert farm.pid("serving") != first
    assert "serving ended with code -9; it is started again in 0.05 s" in farm.said.getvalue()


async def test_pauses_double_up_to_the_longest_while_it_keeps_dying(farm: Farm) -> None:
    pace = replace(QUICK, longest_pause_seconds=0.15)
    async with farm.running(farm.server("weak", free_port()), pace=pace):
        for start in range(1, 5):
            await farm.hears("weak is ready", times=start)
            os.kill(farm.pid("weak"), signal.SIGKILL)
            await farm.hears("weak ended", times=start)
    assert _pauses(farm) == ["0.05", "0.1", "0.15", "0.15"]


async def test_earlier_failures_are_forgotten_after_good_health(farm: Farm) -> None:
    pace = replace(QUICK, healthy_seconds=0.0)
    async with farm.running(farm.server("strong", free_port()), pace=pace):
        for start in range(1, 4):
            await farm.hears("strong is ready", times=start)
            os.kill(farm.pid("strong"), signal.SIGKILL)
            await farm.hears("strong ended", times=start)
    assert _pauses(farm) == ["0.05", "0.05", "0.05"]


async def test_children_of_a_dead_leader_are_killed_before_it_is_started_again(farm: Farm) -> None:
    child_port = free_port()
    async with farm.running(farm.family("engine", free_port(), child_port)):
        await until(lambda: listens(child_port))
        os.kill(farm.pid("engine"), signal.SIGKILL)
        await farm.hears("engine ended with code -9")
        assert not listens(child_port)
        await farm.hears("engine is ready", times=2)
        await until(lambda: listens(child_port))
    assert not listens(child_port)


async def test_all_are_stopped_in_reverse_order(farm: Farm) -> None:
    names = ("one", "two", "three")
    async with farm.running(*(farm.server(name, free_port()) for name in names)):
        pass
    assert (farm.folder / "ended").read_text().split() == ["three", "two", "one"]


async def test_a_program_that_ignores_sigterm_is_killed_after_its_grace(farm: Farm) -> None:
    port = free_port()
    code = SERVER.replace("signal.SIGTERM, end", "signal.SIGTERM, signal.SIG_IGN")
    stubborn = farm.program("stubborn", code, "it", str(port), str(farm.folder), port=port)
    async with farm.running(stubborn, pace=replace(QUICK, grace_seconds=0.3)):
        pass
    assert not listens(port)


async def test_what_never_gets_ready_is_given_up_with_its_last_lines(farm: Farm) -> None:
    broken = replace(
        farm.program("broken", "print('no such model'); raise SystemExit(3)", port=free_port()),
        ready_timeout_seconds=5,
    )
    with pytest.raises(GaveUp) as given_up:
        async with farm.running(farm.server("first", free_port()), broken):
            pass
    assert "broken ended with code 3 before it was ready; given up after 3 tries" in str(
        given_up.value
    )
    assert "    no such model" in str(given_up.value)
    assert (farm.folder / "ended").read_text().split() == ["first"]


async def test_a_program_with_wrong_settings_is_not_tried_again(farm: Farm) -> None:
    wrong = farm.program("wrong", f"raise SystemExit({BAD_SETTINGS})", port=free_port())
    with pytest.raises(GaveUp, match="before it was ready: its settings are wrong"):
        async with farm.running(replace(wrong, ready_timeout_seconds=5)):
            pass
    assert farm.said.getvalue().count("wrong is started") == 1


async def test_what_cannot_be_started_is_given_up_by_name(farm: Farm) -> None:
    absent = Program("absent", ("/no/such/program",), {}, ready=None)
    with pytest.raises(GaveUp, match=r"absent cannot be started: .*/no/such/program"):
        async with farm.running(absent):
            pass


async def test_what_is_not_ready_in_time_is_given_up_with_what_is_missing(farm: Farm) -> None:
    async def never() -> None:
        raise NotReady("the second adapter is missing")

    late = replace(farm.server("late", free_port()), ready=never, ready_timeout_seconds=0.2)
    with pytest.raises(GaveUp, match=r"not ready after 0\.2 s: the second adapter is missing"):
        async with farm.running(late, pace=replace(QUICK, tries=2)):
            pass


async def test_lines_are_shown_with_a_prefix_and_kept_in_a_file(farm: Farm) -> None:
    async with farm.running(farm.server("serving", free_port())):
        await farm.hears("hello")
    assert "serving  | hello from serving\n" in farm.said.getvalue()
    assert (farm.folder / "logs/serving.log").read_text() == "hello from serving\n"


async def test_a_nice_program_gives_way(farm: Farm) -> None:
    async with farm.running(replace(farm.server("trainer", free_port()), nice=10)):
        assert os.getpriority(os.PRIO_PROCESS, farm.pid("trainer")) >= 10


async def test_a_supervisor_killed_with_minus_9_leaves_nobody_behind(farm: Farm) -> None:
    port, child_port = free_port(), free_port()
    supervisor = await _supervisor_of_a_family(farm, port, child_port)
    supervisor.kill()
    await supervisor.wait()
    await until(lambda: not listens(port) and not listens(child_port))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_stops_all_and_is_no_failure(farm: Farm, number: signal.Signals) -> None:
    port, child_port = free_port(), free_port()
    supervisor = await _supervisor_of_a_family(farm, port, child_port)
    supervisor.send_signal(number)
    assert await asyncio.wait_for(supervisor.wait(), 20) == 0
    assert not listens(port) and not listens(child_port)
    assert "family" in (farm.folder / "ended").read_text()


async def test_a_second_signal_ends_all_patience(farm: Farm) -> None:
    port, loop = free_port(), asyncio.get_running_loop()
    code = SERVER.replace("signal.SIGTERM, end", "signal.SIGTERM, signal.SIG_IGN")
    stubborn = farm.program("stubborn", code, "it", str(port), str(farm.folder), port=port)
    told: list[str] = []

    def signal_ourselves() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def tell() -> None:
        told.append("stopping")
        if len(told) == 1:
            loop.call_later(0.2, signal_ourselves)

    work = supervise(
        [stubborn],
        farm.folder / "logs",
        screen=farm.screen,
        pace=replace(QUICK, grace_seconds=60),
        on_ready=signal_ourselves,
    )
    await asyncio.wait_for(until_told(work, tell), 20)
    assert told == ["stopping", "stopping"]
    await until(lambda: not listens(port))


async def _supervisor_of_a_family(
    farm: Farm, port: int, child_port: int
) -> asyncio.subprocess.Process:
    code = f"""
import asyncio
from pathlib import Path
from ops.running.supervisor import supervise, until_told
from tests.free import free_port
from tests.ops.running.children import QUICK, Farm
farm = Farm(Path({str(farm.folder)!r}))
family = farm.family("family", {port}, {child_port})
work = supervise([family], farm.folder / "logs", screen=farm.screen, pace=QUICK)
asyncio.run(until_told(work, lambda: None))
"""
    root = Path(__file__).parents[3]
    supervisor = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=root)
    await until(lambda: listens(port) and listens(child_port))
    return supervisor


def _pauses(farm: Farm) -> list[str]:
    lines = farm.said.getvalue().splitlines()
    return [line.split(" in ")[1].removesuffix(" s") for line in lines if "started again" in line]
