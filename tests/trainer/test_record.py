import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from threading import Thread

import pytest

from tests.trainer.test_past import ended
from trainer import record as told
from trainer.past import UnderWay
from trainer.record import Record

ENDS = """
import sys
from pathlib import Path
from tests.trainer.test_past import ended
from trainer.record import Record
for minute in range(20):
    Record(Path(sys.argv[1])).ended(ended("failed", minute))
"""
GOES_ON = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from trainer.past import UnderWay
from trainer.record import Record
record = Record(Path(sys.argv[1]))
record.begin()
news = lambda: UnderWay(began_at=datetime.now(UTC), told_at=datetime.now(UTC), parent="base")
with record.under_way(news):
    print("on", flush=True)
    time.sleep(60)
"""

IS_KILLED_AS_IT_ENDS = """
import os, signal, sys, time
from pathlib import Path
from tests.trainer.test_past import ended
from tests.trainer.test_record import news
from trainer.record import Record
folder = Path(sys.argv[1])
record = Record(folder)
record.begin()
with record.under_way(news) as end:
    while not list(folder.glob("round-*.json")):
        time.sleep(0.01)
    os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    end(ended("published", 1, "m-v1"))
"""


def news(silent_seconds: float = 0) -> UnderWay:
    now = datetime.now(UTC) - timedelta(seconds=silent_seconds)
    return UnderWay(began_at=now, told_at=now, parent="base", step="gates")


def wait_until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < ends, "not within 10 s"
        time.sleep(0.01)


def test_two_processes_that_end_rounds_at_once_are_both_counted(tmp_path: Path) -> None:
    both = [subprocess.Popen([sys.executable, "-c", ENDS, str(tmp_path)]) for _ in range(2)]
    assert [one.wait(60) for one in both] == [0, 0]
    assert Record(tmp_path).seen().past.rounds == {"failed": 40}
    assert {path.name for path in tmp_path.iterdir()} == {"rounds.json", "rounds.lock"}


def test_a_round_is_under_way_until_it_ends(tmp_path: Path) -> None:
    record = Record(tmp_path)
    record.begin()
    with record.under_way(news):
        wait_until(lambda: record.seen().under_way is not None)
        found = record.seen().under_way
        assert found is not None and found.step == "gates"
    assert record.seen().under_way is None
    assert not list(tmp_path.glob("round-*"))


def test_a_round_that_is_counted_is_under_way_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told, "BEAT_SECONDS", 0.01)
    record = Record(tmp_path)
    record.begin()
    with record.under_way(news) as end:
        wait_until(lambda: record.seen().under_way is not None)
        end(ended("published", 1, "m-v1"))
        time.sleep(0.1)
        assert record.seen().past.rounds == {"published": 1}
        assert not list(tmp_path.glob("round-*"))


def test_a_round_that_is_killed_as_it_is_counted_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = subprocess.run([sys.executable, "-c", IS_KILLED_AS_IT_ENDS, str(tmp_path)])
    assert killed.returncode == -signal.SIGKILL
    monkeypatch.setattr(told, "SILENT_SECONDS", 0)
    assert Record(tmp_path).seen().past.rounds == {"died": 1}


def test_a_round_that_never_said_a_word_leaves_no_trace(tmp_path: Path) -> None:
    record = Record(tmp_path)
    record.begin()
    with record.under_way(lambda: None):
        time.sleep(0.2)
        assert not list(tmp_path.glob("round-*"))


def test_a_killed_round_is_seen_to_run_and_then_to_have_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", GOES_ON, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None and process.stdout.readline() == b"on\n"
        ends = time.monotonic() + 10
        while not list(tmp_path.glob("round-*.json")) and time.monotonic() < ends:
            time.sleep(0.01)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    assert Record(tmp_path).seen().under_way is not None  # it has only just fallen silent
    monkeypatch.setattr(told, "SILENT_SECONDS", 0.1)
    time.sleep(0.2)
    seen = Record(tmp_path).seen()
    assert (seen.under_way, seen.past.rounds) == (None, {"died": 1})
    Record(tmp_path).ended(ended("published", 1, "m-v1"))
    assert Record(tmp_path).seen().past.rounds == {"died": 1, "published": 1}


def test_news_come_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "BEAT_SECONDS", 0.02)
    record = Record(tmp_path)
    record.begin()
    times: set[datetime] = set()
    with record.under_way(news):
        ends = time.monotonic() + 10
        while len(times) < 3 and time.monotonic() < ends:
            if found := record.seen().under_way:
                times.add(found.told_at)
    assert len(times) == 3


def test_news_come_again_after_a_look_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(told, "BEAT_SECONDS", 0.02)
    looks = count()

    def look() -> UnderWay:
        if next(looks) == 0:
            raise ZeroDivisionError
        return news()

    record = Record(tmp_path)
    record.begin()
    with record.under_way(look):
        wait_until(lambda: record.seen().under_way is not None)
    assert "how the round goes on cannot be told now" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_a_file_that_cannot_be_read_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "rounds.json").write_text('{"v": 1, "since": "yesterday"}')
    Record(tmp_path).ended(ended("failed"))
    assert "rounds.json is left out: since: Input should be a valid datetime" in caplog.text
    assert Record(tmp_path).seen().past.rounds == {"failed": 1}


def test_readers_never_see_half_of_it(tmp_path: Path) -> None:
    record = Record(tmp_path)
    record.begin()

    def write() -> None:
        for minute in range(50):
            record.ended(ended("failed", minute))

    writer = Thread(target=write)
    writer.start()
    counts = []
    while writer.is_alive():
        counts.append(Record(tmp_path).seen().past.rounds.get("failed", 0))
    writer.join()
    assert counts == sorted(counts)
    assert record.seen().past.rounds == {"failed": 50}


def test_a_death_is_never_seen_twice(tmp_path: Path) -> None:
    record = Record(tmp_path)
    record.begin()

    def die() -> None:
        for number in range(50):
            draft = tmp_path / f"{number}.tmp"
            draft.write_text(news(silent_seconds=100).model_dump_json())
            draft.rename(tmp_path / f"round-{number}.json")
            record.tracker_failed("wandb")

    writer = Thread(target=die)
    writer.start()
    deaths = []
    while writer.is_alive():
        deaths.append(Record(tmp_path).seen().past.rounds.get("died", 0))
    writer.join()
    assert deaths == sorted(deaths)
    assert record.seen().past.rounds == {"died": 50}


def test_to_look_at_a_folder_that_is_not_there_makes_none(tmp_path: Path) -> None:
    assert Record(tmp_path / "nowhere").seen().past.rounds == {}
    assert not (tmp_path / "nowhere").exists()
