"""Several processes' worth of workers on one log and one folder."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from time import time

import pytest

from feedback import examples
from feedback.crew import Crew
from feedback.events import encode
from feedback.guard import Rules
from feedback.log import FORGETS, Log, Record, open_log
from feedback.log_sqlite import SqliteLog
from feedback.metrics import Metrics
from feedback.patrol import FILES
from feedback.settings import Settings
from feedback.shares import GRACE_SECONDS
from feedback.window import Window
from tests.feedback.made import completion, thumb, worker


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with closing(open_log(f"sqlite:///{tmp_path}/log.db")) as log:
        yield log


def settings_for(home: Path, **more: object) -> Settings:
    told = {"examples": home / "examples", "feedback_window": home / "window"} | more
    return Settings.model_validate(told)


def say(log: Log, count: int) -> None:
    for n in range(count):
        log.append("completions", f"c{n}", encode(completion(f"c{n}")))
        log.append("verdicts", f"c{n}", encode(thumb(True, n, of=f"c{n}")))


def test_a_turn_joins_and_guards(tmp_path: Path, log: Log) -> None:
    say(log, 5)
    settings = settings_for(tmp_path, feedback_guard=Rules(a_day=3))
    with closing(Crew(settings, log, Metrics())) as crew:
        assert crew.turn() is False
        crew.turn()
    rows = examples.read(tmp_path / "examples").examples
    assert sorted(row.completion_id for row in rows if row.weight == 0) == ["c3", "c4"]


def test_who_comes_second_waits_until_the_first_is_gone(tmp_path: Path, log: Log) -> None:
    settings = settings_for(tmp_path)
    say(log, 1)
    with closing(Crew(settings, log, Metrics())) as second:
        with closing(Crew(settings, log, Metrics())) as first:
            first.turn()
            say(log, 3)
            second.turn()
            assert len(examples.read(tmp_path / "examples").examples) == 1
        second.turn()
        assert len(examples.read(tmp_path / "examples").examples) == 3


@pytest.mark.integration
def test_a_guard_that_comes_to_many_files_goes_on_at_once_and_the_join_meanwhile(
    tmp_path: Path, log: Log
) -> None:
    with closing(Window(tmp_path / "window" / "0000.db")) as window:
        works = worker(log, window, tmp_path / "examples")
        for n in range(1, FILES + 2):
            say(log, n)
            works.step()
    settings = settings_for(tmp_path, feedback_guard=Rules(in_a_burst=1000))
    with closing(Crew(settings, log, Metrics())) as crew:
        say(log, FILES + 2)
        assert [crew.turn(), crew.turn()] == [True, False]
    assert len(examples.batches(tmp_path / "examples")) == FILES + 2


def test_examples_that_are_too_old_are_swept(tmp_path: Path, log: Log) -> None:
    say(log, 1)
    with closing(Crew(settings_for(tmp_path), log, Metrics())) as crew:
        crew.turn()
    (batch,) = examples.batches(tmp_path / "examples")
    os.utime(batch.path, (time() - 2 * 86_400,) * 2)
    settings = settings_for(tmp_path, feedback_examples_days=1)
    with closing(Crew(settings, log, Metrics())) as crew:
        crew.turn()
    assert examples.batches(tmp_path / "examples") == []


class Second(SqliteLog):
    """Of two partitions, all is in the second."""

    def read(self, topic: str, partition: int, start: int, limit: int = 1000) -> list[Record]:
        empty = partition == 0 and topic != FORGETS.name
        return [] if empty else super().read(topic, 0, start, limit)

    def end(self, topic: str) -> dict[int, int]:
        return {0: 0, 1: super().end(topic)[0]}

    def partitions(self, topic: str) -> int:
        return 2


def test_what_was_taken_on_goes_to_who_comes_back_and_nothing_counts_twice(tmp_path: Path) -> None:
    settings, seconds = settings_for(tmp_path, feedback_workers=2), [0.0]
    with closing(Second(tmp_path / "log.db")) as log:
        here = Crew(settings, log, Metrics(), clock=lambda: seconds[0])
        there = Crew(settings, log, Metrics())
        with closing(here), closing(there):
            seconds[0] = GRACE_SECONDS
            say(log, 2)
            here.turn()  # alone, it has both
            assert settled(tmp_path) == ["c0", "c1"]
            there.turn()
            here.turn()  # sees the other, and lets the second go
            say(log, 4)
            here.turn()
            assert settled(tmp_path) == ["c0", "c1"]
            there.turn()
            assert settled(tmp_path) == ["c0", "c1", "c2", "c3"]


def settled(home: Path) -> list[str]:
    found = examples.batches(home / "examples")
    return sorted(row.completion_id for batch in found for row in examples.rows(batch))
