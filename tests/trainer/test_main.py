"""The real process, as it is started; and its turns, where they go wrong."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from feedback.begin import BAD_SETTINGS
from feedback.events import encode
from feedback.log import Log, LogAway, open_log
from tests.trainer.compared import judged_by_users, plan_of
from tests.trainer.live import split
from tests.trainer.test_past import ended
from tests.trainer.tiny import PLAN, example, rated_by_base, settle
from trainer.__main__ import if_due, once, turn
from trainer.adapters import load, verify
from trainer.due import Rules
from trainer.lock import only_one
from trainer.loop import Loop
from trainer.newest import Newest
from trainer.parent import Serving, SplitReader
from trainer.record import Record
from trainer.reserved import is_held_out
from trainer.run import Places
from trainer.settings import Settings
from trainer.tally import Tally

# Of 96 thumbs.
TO_LEARN_FROM = sum(not is_held_out(example(n), PLAN.holdout_percent) for n in range(96))


def environment(places: Places, **more: str) -> dict[str, str]:
    plan = places.examples.parent / "plan.json"
    plan.write_text(json.dumps(PLAN.model_dump(mode="json")))
    return {
        **os.environ,
        "THUMBWHEEL_LOG": f"sqlite:///{places.examples.parent}/log.db",
        "THUMBWHEEL_MODEL": places.base,
        "THUMBWHEEL_NAME": places.series,
        "THUMBWHEEL_EXAMPLES": str(places.examples),
        "THUMBWHEEL_ADAPTERS": str(places.adapters),
        "THUMBWHEEL_TRAINER_STATE": str(places.state),
        "THUMBWHEEL_TRAINER_PLAN": str(plan),
        **more,
    }


@pytest.fixture
def settings(places: Places, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in environment(places).items():
        monkeypatch.setenv(name, value)
    return Settings()


@pytest.fixture
def log(settings: Settings) -> Iterator[Log]:
    with closing(open_log(settings.log)) as opened:
        yield opened


def loop(settings: Settings, split: SplitReader) -> Loop:
    rules = Rules(min_examples=60, min_rows=60, interval_seconds=60)
    newest = Newest(settings.adapters, settings.name)
    return Loop(rules, split, Tally(settings.examples, "kto", 0), newest, began=datetime.now(UTC))


@pytest.fixture
def record(settings: Settings) -> Record:
    return Record(settings.trainer_state)


@pytest.mark.integration
def test_once_runs_a_round_on_what_serves(settings: Settings, log: Log) -> None:
    rated_by_base(Path(settings.model), settings.examples)
    assert once(settings, PLAN, SplitReader(log, "tiny")) == 0
    assert load(settings.adapters, "tiny-v1").parent == "base"


@pytest.mark.integration  # processes that load torch: half a minute
@pytest.mark.parametrize("by", ["the plan", "torchrun"])
def test_once_runs_a_round_in_several_processes(places: Places, by: str, tmp_path: Path) -> None:
    rated_by_base(Path(places.base), places.examples)
    environ = environment(places)
    (tmp_path / "plan.json").write_text(json.dumps(PLAN.model_dump(mode="json") | {"processes": 2}))
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *(torchrun if by == "torchrun" else []), "-m", "trainer", "--once"]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("published: tiny-v1, all gates passed") == 1
    assert ended.stderr.count("trainer: epoch 2 of 2: done in") == 1
    assert verify(places.adapters, "tiny-v1").plan["processes"] == 2


@pytest.mark.integration  # the same
def test_of_torchruns_processes_the_first_alone_tells_that_a_round_is_gated(
    places: Places, tmp_path: Path
) -> None:
    rated_by_base(Path(places.base), places.examples)
    tight = {"processes": 2, "kl_budget_parent": 1e-6, "min_kl_parent": 0.0}
    environ = environment(places)
    (tmp_path / "plan.json").write_text(json.dumps(PLAN.model_dump(mode="json") | tight))
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, "-m", *torchrun, "-m", "trainer", "--once"]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr  # torchrun would call it a failure
    assert ended.stdout.count("gated: tiny-v1") == 1
    assert Record(places.state).seen().past.rounds == {"gated": 1}


@pytest.mark.integration
def test_torchrun_starts_single_rounds_only(places: Places) -> None:
    environ = environment(places, RANK="0", WORLD_SIZE="1")
    command = [sys.executable, "-m", "trainer"]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (
        BAD_SETTINGS,
        "settings: torchrun started this; expected python -m trainer --once of it\n",
    )


@pytest.mark.integration
def test_once_tells_a_gated_round_from_a_published_one(settings: Settings, log: Log) -> None:
    rated_by_base(Path(settings.model), settings.examples)
    tight = PLAN.model_copy(update={"kl_budget_parent": 1e-6})
    assert once(settings, tight, SplitReader(log, "tiny")) == 3
    assert not load(settings.adapters, "tiny-v1").passed


def test_once_with_an_adapter_that_is_not_there_fails_in_one_line(
    settings: Settings, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    log.append("split", "split", b'{"kind": "split", "v": 1, "revision": 1, "stable": "tiny-v7"}')
    assert once(settings, PLAN, SplitReader(log, "tiny")) == 5
    assert f"the round failed: 'tiny-v7' is not published in {settings.adapters}" in caplog.text
    assert "Traceback" not in caplog.text and caplog.text.count("is not published") == 1


def test_a_mistyped_name_ends_it_with_the_reason(settings: Settings, log: Log) -> None:
    log.append("split", "split", encode(split(1, "other-v3")))
    reader = SplitReader(log, settings.name)
    with pytest.raises(SystemExit, match=r"^the stable adapter is 'other-v3'; expected 'base' or"):
        once(settings, PLAN, reader)
    with pytest.raises(SystemExit, match="THUMBWHEEL_NAME mistyped"):
        if_due(settings, PLAN, reader)


def test_once_beside_another_trainer_ends_with_the_reason(settings: Settings, log: Log) -> None:
    with only_one(settings.trainer_state), pytest.raises(SystemExit, match="another trainer"):
        once(settings, PLAN, SplitReader(log, "tiny"))


def test_once_with_golden_prompts_that_cannot_be_read_ends_with_the_reason(
    settings: Settings, log: Log, tmp_path: Path
) -> None:
    settle(settings.examples, [example(n, up=n % 2 == 0) for n in range(96)], start=0, end=96)
    (tmp_path / "golden.jsonl").write_text('{"id": "a", "prompt": "how", "contains": 7}')
    plan = PLAN.model_copy(update={"golden": str(tmp_path / "golden.jsonl")})
    with pytest.raises(SystemExit, match="line 1: contains: Input should be a valid string"):
        once(settings, plan, SplitReader(log, "tiny"))


def test_a_turn_without_news_goes_well(settings: Settings, log: Log, record: Record) -> None:
    record.begin()
    assert turn(settings, PLAN, loop(settings, SplitReader(log, "tiny")), record)
    assert record.seen().waiting == 0


def test_a_round_that_fails_is_counted_and_the_trainer_goes_on(
    settings: Settings, log: Log, record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    record.begin()
    settle(settings.examples, [example(n) for n in range(96)], start=0, end=96)
    settle(settings.examples, [example(n, adapter="tiny-v7") for n in range(96)], start=96, end=192)
    log.append("split", "split", b'{"kind": "split", "v": 1, "revision": 1, "stable": "tiny-v7"}')
    watched = loop(settings, SplitReader(log, "tiny"))
    assert not turn(settings, PLAN, watched, record)
    assert record.seen().past.rounds == {"failed": 1}
    assert caplog.text.count("'tiny-v7' is not published") == 1
    assert turn(settings, PLAN, watched, record)  # nothing is new: it does not start
    assert record.seen().past.rounds == {"failed": 1}


def test_a_round_of_too_few_rows_comes_again_when_more_wait(
    settings: Settings, log: Log, record: Record
) -> None:
    record.begin()
    settle(settings.examples, [example(n, user="ann") for n in range(96)], start=0, end=96)
    watched = loop(settings, SplitReader(log, "tiny"))
    assert not turn(settings, PLAN, watched, record)
    assert turn(settings, PLAN, watched, record)
    assert record.seen().past.rounds == {"too_few": 1}
    settle(settings.examples, [example(96, user="ann")], start=96, end=97)
    assert not turn(settings, PLAN, watched, record)
    assert record.seen().past.rounds == {"too_few": 2}


def test_a_round_that_another_kept_from_beginning_is_not_held_back(
    settings: Settings, log: Log, record: Record
) -> None:
    record.begin()
    settle(settings.examples, [example(n, user="ann") for n in range(96)], start=0, end=96)
    watched = loop(settings, SplitReader(log, "tiny"))
    with only_one(settings.trainer_state):
        assert not turn(settings, PLAN, watched, record)
    assert not turn(settings, PLAN, watched, record)
    assert record.seen().past.rounds == {"too_few": 1}


@pytest.mark.integration  # it learns a reward first
def test_a_round_whose_engines_are_away_is_tried_again_at_the_next_turn(
    settings: Settings, log: Log, record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    """It has made nothing yet, and may soon: it is not left until more has been said."""
    record.begin()
    judged_by_users(Path(settings.model), settings.examples, 120)
    draws = {"trainer_draws_by": "engines", "trainer_draws_patience_seconds": 0.3}
    asking = settings.model_copy(update=draws | {"engine_url": ("http://127.0.0.1:9",)})
    watched = loop(settings, SplitReader(log, "tiny"))
    for _ in range(2):
        assert not turn(asking, plan_of("rloo"), watched, record)
    assert record.seen().past.rounds == {"failed": 2}
    assert "no engine drew anything in 0.3 s" in caplog.text


def test_examples_that_stay_damaged_are_one_failed_round(
    settings: Settings, log: Log, record: Record
) -> None:
    record.begin()
    settle(settings.examples, [example(n) for n in range(96)], start=0, end=96)
    [path] = settings.examples.glob("**/*.parquet")
    path.write_bytes(b"no longer Parquet")
    watched = loop(settings, SplitReader(log, "tiny"))
    assert not turn(settings, PLAN, watched, record)
    assert not turn(settings, PLAN, watched, record)
    assert record.seen().past.rounds == {"failed": 1}


class Away(SplitReader):
    def serving(self) -> Serving:
        raise LogAway("nobody answers")


def test_a_log_that_is_away_is_no_failed_round(
    settings: Settings, log: Log, record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    assert not turn(settings, PLAN, loop(settings, Away(log, "tiny")), record)
    assert record.seen().past.rounds == {}
    assert "not now: nobody answers" in caplog.text


def test_blank_publishes_v0_and_ends(places: Places) -> None:
    command = [sys.executable, "-m", "trainer", "--blank"]
    blank = subprocess.run(command, env=environment(places), capture_output=True, text=True)
    assert blank.returncode == 0, blank.stderr
    assert "tiny-v0" in blank.stderr
    assert not verify(places.adapters, "tiny-v0").passed


@pytest.mark.integration  # a process of its own
def test_export_serves_what_rounds_left_without_a_model_or_torch(tmp_path: Path) -> None:
    Record(tmp_path).ended(ended("too_few", 1))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = os.environ | {
        "THUMBWHEEL_TRAINER_STATE": str(tmp_path),
        "THUMBWHEEL_TRAINER_METRICS_PORT": str(port),
    }
    process = subprocess.Popen([sys.executable, "-m", "trainer", "--export"], env=env)
    try:
        wait_for(port, 'rounds_total{outcome="too_few"} 1.0')
        Record(tmp_path).ended(ended("too_few", 2))  # by another process, meanwhile
        wait_for(port, 'rounds_total{outcome="too_few"} 2.0')
        assert "libtorch" not in Path(f"/proc/{process.pid}/maps").read_text()
    finally:
        process.terminate()
        assert process.wait(60) == 0


@contextmanager
def trainer(places: Places, said: Path) -> Iterator[int]:
    """The process, and the port of its metrics. At the end it is told to end, and does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = environment(
        places,
        THUMBWHEEL_TRAINER_METRICS_PORT=str(port),
        THUMBWHEEL_TRAINER_MIN_EXAMPLES="60",
        THUMBWHEEL_TRAINER_POLL_SECONDS="0.05",
    )
    with said.open("w") as stderr:
        process = subprocess.Popen([sys.executable, "-m", "trainer"], env=env, stderr=stderr)
    try:
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, said.read_text()


@pytest.mark.integration  # a process of its own, and seconds of waiting
def test_the_trainer_waits_while_a_canary_is_on_trial(
    places: Places, log: Log, tmp_path: Path
) -> None:
    settle(places.examples, [example(n) for n in range(96)], start=0, end=96)
    log.append(
        "split",
        "split",
        b'{"kind": "split", "v": 1, "revision": 1, "stable": "base", "canary": "tiny-v1"}',
    )
    with trainer(places, tmp_path / "said") as port:
        wait_for(port, f"waiting_lessons {float(TO_LEARN_FROM)}")
        wait_for(port, f"waiting_lessons {float(TO_LEARN_FROM)}")
    assert (tmp_path / "said").read_text() == ""
    assert not places.adapters.exists()


@pytest.mark.integration  # it loads torch once more: ten seconds
def test_the_trainer_makes_an_adapter_when_enough_thumbs_have_come(
    places: Places, tmp_path: Path
) -> None:
    rated_by_base(Path(places.base), places.examples)
    with trainer(places, tmp_path / "said") as port:
        wait_for(port, 'rounds_total{outcome="published"} 1.0')
    said = (tmp_path / "said").read_text()
    assert load(places.adapters, "tiny-v1").passed
    assert f"a round on base: {TO_LEARN_FROM} new thumbs" in said
    assert "epoch 2 of 2: done in" in said


def wait_for(port: int, line: str, seconds: float = 180) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                if line in answer.read().decode():
                    return
        except URLError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"{line!r} was not on /metrics within {seconds} s")


@pytest.mark.integration  # each starts Python
@pytest.mark.parametrize(
    ("how", "state", "said"),
    [
        ("--export", "nowhere", "nowhere'; expected the folder in which rounds keep their state"),
        ("--export", "file", "file'; expected the folder in which rounds keep their state"),
        ("--if-due", "file", "file'; expected a folder to write to: File exists"),
        ("--once", "file/below", "below'; expected a folder to write to: Not a directory"),
    ],
)
def test_a_state_folder_that_cannot_be_is_told_in_one_line(
    how: str, state: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    settings = {"THUMBWHEEL_TRAINER_STATE": str(tmp_path / state), "THUMBWHEEL_MODEL": "m"}
    ended = subprocess.run(
        [sys.executable, "-m", "trainer", how],
        env=os.environ | settings,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 78
    assert ended.stderr.splitlines()[-1].endswith(said)
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "nowhere").exists()
