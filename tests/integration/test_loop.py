"""One thumb goes all the way round, on real parts, while they are killed one after the other.

The tests go on from each other: one loop, started once, costs minutes.
"""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import openai
import pytest

from feedback import examples
from feedback.events import BASE, Completion, decode
from feedback.log import Log, open_log, read_all
from ops import history
from ops.demo.diary import read_diary
from ops.demo.processes import teach
from ops.demo.sabotage import slip_in
from ops.demo.users import Crowd, Habits
from serving.split import Split
from tests.free import free_ports
from tests.integration.tiny import make_adapter
from tests.ops.running.children import listens
from trainer.adapters import load, read_lineage
from trainer.lock import RoundRunning, only_one

pytestmark = [pytest.mark.integration, pytest.mark.alone]

PLAN = {
    "alpha": 16.0,
    "rank": 8,
    "learning_rate": 1e-3,
    "beta": 1.0,
    "sft_weight": 3.0,
    "epochs": 2,
    "min_rows": 80,
    "min_holdout": 1,
    "max_new_tokens": 80,
}
THUMBWHEEL = Path(sys.executable).parent / "thumbwheel"


def until(claim: Callable[[], bool], seconds: float, state: Callable[[], object]) -> None:
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {state()}"
        time.sleep(0.2)


class Loop:
    """`thumbwheel up` in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.home, self.diary = folder / "home", folder / "diary.jsonl"
        self.model, self.out = folder / "model", folder / "up.out"
        self.ports = serving, engine, *metrics = free_ports(6)
        self.url = f"http://127.0.0.1:{serving}"
        (folder / "plan.json").write_text(json.dumps(PLAN))
        asyncio.run(teach(self.model, seed=0))
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("THUMBWHEEL_")}
        self._env = inherited | {
            "THUMBWHEEL_ENGINE_PORT": str(engine),
            "THUMBWHEEL_FEEDBACK_METRICS_PORT": str(metrics[0]),
            "THUMBWHEEL_TRAINER_METRICS_PORT": str(metrics[1]),
            "THUMBWHEEL_OPS_METRICS_PORT": str(metrics[2]),
            "THUMBWHEEL_OPS_PORT": str(metrics[3]),
            "THUMBWHEEL_TRAINER_SCORE_PER_MINUTE": "240",
            "THUMBWHEEL_TRAINER_MIN_EXAMPLES": "120",
            "THUMBWHEEL_OPS_STEPS_PERCENT": "10,50",
            "THUMBWHEEL_OPS_STEP_MIN_SECONDS": "5",
            "THUMBWHEEL_OPS_STEP_MIN_COMPLETIONS": "15",
        }
        words = ("up", "--model", self.model, "--name", "demo", "--home", self.home)
        options = ("--port", str(serving), "--plan", folder / "plan.json", "--quiet")
        self._argv: list[str | Path] = [THUMBWHEEL, *words, *options]
        self._starts = 0
        self.start()

    def start(self) -> None:
        self._starts += 1
        with self.out.open("a") as out:
            self.process = subprocess.Popen(
                self._argv,
                env=self._env,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self) -> str:
        return self.out.read_text()

    def pid(self, program: str) -> int:
        return int(re.findall(rf"^{program} is started \(pid (\d+)\)", self.said(), re.M)[-1])

    def times_ready(self, program: str) -> int:
        return len(re.findall(rf"^{program} is ready", self.said(), re.M))

    def wait_until_up(self) -> None:
        def is_up() -> bool:
            assert self.process.poll() is None, self.said()
            return self.said().count("Thumbwheel is up") == self._starts

        until(is_up, 600, self.said)

    def command(self, *words: str) -> str:
        done = subprocess.run(
            [THUMBWHEEL, *words, "--home", self.home],
            env=os.environ | {"COLUMNS": "300"},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def close(self) -> None:
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(120) == 0, self.said()


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    loop = Loop(tmp_path_factory.mktemp("loop"))
    try:
        loop.wait_until_up()
        yield loop
    finally:
        loop.close()


class Users(threading.Thread):
    """Chat and rate until they are told to stop."""

    def __init__(self, loop: Loop) -> None:
        super().__init__()
        self._url, self._diary = loop.url, loop.diary
        self._stop_chats: Callable[[], object] = lambda: None
        self._chatting = threading.Event()

    def run(self) -> None:
        asyncio.run(self._chat())

    async def _chat(self) -> None:
        told, running = asyncio.Event(), asyncio.get_running_loop()
        self._stop_chats = lambda: running.call_soon_threadsafe(told.set)
        self._chatting.set()
        async with httpx.AsyncClient(base_url=self._url, timeout=60, trust_env=False) as client:
            await Crowd(client, "demo", habits=Habits(seats=8), diary=self._diary).chat(told)

    def stop(self) -> None:
        if self.is_alive():
            self._chatting.wait()
            self._stop_chats()
            self.join(90)


@pytest.fixture(scope="module")
def users(loop: Loop) -> Iterator[Users]:
    """They chat from the first test that names them on."""
    users = Users(loop)
    users.start()
    yield users
    users.stop()


@pytest.fixture(scope="module")
def log(loop: Loop) -> Iterator[Log]:
    log = open_log(f"sqlite:///{loop.home}/log.db")
    yield log
    log.close()


def completions(log: Log) -> dict[str, Completion]:
    found = (decode(record.value, (Completion,)) for record in read_all(log, "completions"))
    return {completion.id: completion for completion in found}


def ask(client: openai.OpenAI, user: str) -> tuple[str, str, str]:
    """The answer's id, the adapter in its header, and the model in vLLM's own answer."""
    raw = client.chat.completions.with_raw_response.create(
        model="demo",
        user=user,
        max_tokens=20,
        messages=[{"role": "user", "content": "How do I make tea?"}],
    )
    answer = raw.parse()
    return answer.id, raw.headers["x-thumbwheel-adapter"], answer.model


def kill(loop: Loop, *programs: str) -> None:
    """As kill -9 does; returns when the programs are ready again."""
    ready = {program: loop.times_ready(program) for program in programs}
    for program in programs:
        os.kill(loop.pid(program), signal.SIGKILL)
    for program, times in ready.items():
        until(lambda: loop.times_ready(program) > times, 300, lambda: f"{program} is back")  # noqa: B023 (at once)


def rated(loop: Loop, more: int) -> None:
    """Returns when users have rated so many more answers."""
    before = len(read_diary(loop.diary))
    until(lambda: len(read_diary(loop.diary)) >= before + more, 120, lambda: "users rate")


@contextmanager
def between_rounds(loop: Loop) -> Iterator[None]:
    """No round goes on meanwhile: its adapter would be the newest, and tried first."""
    with ExitStack() as held:

        def is_held() -> bool:
            with suppress(RoundRunning):
                held.enter_context(only_one(loop.home / "trainer"))
                return True
            return False

        until(is_held, 300, lambda: "the round ends")
        yield


@pytest.mark.parametrize("program", ["serving", "feedback", "trainer"])
def test_a_killed_process_comes_back_while_users_go_on(
    loop: Loop, users: Users, program: str
) -> None:
    rated(loop, 3)
    kill(loop, program)
    rated(loop, 3)


def test_thumbs_make_an_adapter_that_users_promote_though_ops_and_engine_are_killed_meanwhile(
    loop: Loop, users: Users, log: Log
) -> None:
    def now() -> Split:
        return history.splits(log)[-1]

    until(lambda: now().canary is not None, 600, lambda: loop.command("status"))
    kill(loop, "ops", "engine")
    until(lambda: now().stable != BASE, 600, lambda: loop.command("status"))


def test_the_adapters_name_is_the_same_in_header_log_and_engine_under_a_moving_split(
    loop: Loop, users: Users, log: Log
) -> None:
    stable = history.splits(log)[-1].stable

    def move_to_and_fro() -> None:
        for to in (BASE, stable) * 2:
            loop.command("rollback", "--to", to)

    client = openai.OpenAI(base_url=f"{loop.url}/v1", api_key="none")
    seen: list[tuple[str, str, str]] = []
    with client, ThreadPoolExecutor(1) as hand:
        moving = hand.submit(move_to_and_fro)
        while not moving.done():
            seen.append(ask(client, user=f"sdk-{len(seen)}"))
        moving.result()
    ids = {completion_id for completion_id, _, _ in seen}
    # An answer is on the log a moment after its user has it.
    until(lambda: ids <= completions(log).keys(), 60, lambda: ids - completions(log).keys())
    known = completions(log)
    assert {adapter for _, adapter, _ in seen} >= {BASE, stable}  # at first a canary, perhaps
    for completion_id, adapter, model in seen:
        assert (model if model != "demo" else BASE) == adapter == known[completion_id].adapter


def test_one_id_is_followed_through_every_stop(loop: Loop, log: Log) -> None:
    name = history.splits(log)[-1].stable
    manifest = load(loop.home / "adapters", name)
    assert manifest.passed
    lesson = read_lineage(loop.home / "adapters", name)[0]
    revision = completions(log)[lesson.completion_id].split_revision
    asked = (("trace", lesson.completion_id), ("status",), ("history",))
    with ThreadPoolExecutor(len(asked)) as hands:  # each loads for seconds
        told, status, told_history = hands.map(lambda words: loop.command(*words), asked)
    for stop in (
        f"split revision {revision}",
        "thumb ",
        "settled as ",
        f"{name}: {lesson.use}",
        f"canary {name} 10% ({name} passed its gates)",
        f"stable {name} (better: gain ",
    ):
        assert stop in told
    assert f"{name} " in status
    assert "promoted" in told_history


def test_an_adapter_of_nonsense_that_is_slipped_in_is_found_out_and_withdrawn(
    loop: Loop, users: Users, log: Log, tmp_path: Path
) -> None:
    def moved(action: str, name: str) -> bool:
        return any((m.action, m.adapter, m.by) == (action, name, "ops") for m in history.moves(log))

    nonsense = make_adapter(loop.model, tmp_path, "demo-v1")
    with between_rounds(loop):
        name = slip_in(nonsense, loop.home / "adapters", history.splits(log)[-1].stable)
        loop.command("resume")  # the last roll-back by hand has paused it
        until(lambda: moved("started", name), 60, lambda: loop.command("status"))
    until(lambda: moved("withdrawn", name), 300, lambda: loop.command("status"))


def test_up_itself_killed_takes_all_its_processes_along_and_the_next_one_goes_on(
    loop: Loop, users: Users, log: Log
) -> None:
    rated(loop, 3)
    served, splits = completions(log).keys(), history.splits(log)
    loop.process.kill()
    loop.process.wait()
    until(lambda: not any(map(listens, loop.ports)), 30, lambda: loop.ports)
    loop.start()
    loop.wait_until_up()
    rated(loop, 3)
    assert served <= completions(log).keys()
    assert history.splits(log)[: len(splits)] == splits


def test_no_verdict_that_was_answered_202_is_lost(loop: Loop, users: Users) -> None:
    users.stop()
    accepted = {(verdict.completion_id, verdict.up) for verdict in read_diary(loop.diary)}

    def missing() -> set[tuple[str, bool]]:
        rows = examples.read(loop.home / "examples").examples
        return accepted - {(row.completion_id, bool(row.up)) for row in rows if row.slot == "thumb"}

    until(lambda: not missing(), 60, lambda: f"{len(missing())} of {len(accepted)} are missing")
    assert len(accepted) > 150
