"""What only the embedded log does."""

from contextlib import closing
from pathlib import Path

import pytest

from feedback.log import open_log
from feedback.log_sqlite import SqliteLog

DAY = 86_400.0


class Days:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.day = 100.0

    def __call__(self) -> float:
        return self.day * DAY


def offsets(log: SqliteLog, topic: str = "verdicts") -> list[int]:
    return [record.position.offset for record in log.read(topic, 0, 0)]


def test_what_is_older_than_its_days_goes_and_the_offsets_go_on(tmp_path: Path) -> None:
    clock = Days()
    with closing(SqliteLog(tmp_path / "log.db", 30, clock)) as log:
        for day in (100, 101, 120, 131.5):
            clock.day = day
            log.append("verdicts", "k", b"%f" % day)
        assert offsets(log) == [1, 2, 3]  # the second is as old as the first mark after it
        clock.day = 400
        assert log.append("verdicts", "k", b"400").offset == 4
        assert offsets(log) == [3, 4]
        clock.day = 800
        log.append("verdicts", "k", b"800")
        assert log.append("verdicts", "k", b"800").offset == 6


def test_topics_that_are_kept_are_kept(tmp_path: Path) -> None:
    clock = Days()
    with closing(SqliteLog(tmp_path / "log.db", 30, clock)) as log:
        for clock.day in (100, 200, 300):
            log.append("split", "k", b"1")
        assert offsets(log, "split") == [0, 1, 2]


def test_without_days_everything_is_kept(tmp_path: Path) -> None:
    clock = Days()
    with closing(SqliteLog(tmp_path / "log.db", now=clock)) as log:
        for clock.day in (100, 1000, 10_000):
            log.append("verdicts", "k", b"1")
        assert offsets(log) == [0, 1, 2]


@pytest.mark.parametrize("more", ["retention_days=0", "retention_days=x", "days=3", "retention"])
def test_a_wrong_word_in_the_address_is_named(tmp_path: Path, more: str) -> None:
    with pytest.raises(ValueError, match=f"log.db.{more}'; expected sqlite:///path/to/log.db"):
        open_log(f"sqlite:///{tmp_path}/log.db?{more}")


def test_the_days_may_stand_in_the_address(tmp_path: Path) -> None:
    with closing(open_log(f"sqlite:///{tmp_path}/log.db?retention_days=0.5")) as log:
        log.append("verdicts", "k", b"1")
    assert (tmp_path / "log.db").exists()


@pytest.mark.integration
def test_one_read_returns_no_more_than_memory_takes(tmp_path: Path) -> None:
    with closing(SqliteLog(tmp_path / "log.db")) as log:
        log.append_all([("verdicts", "k", b"x" * 7_000_000)] * 10)
        assert len(log.read("verdicts", 0, 0)) == 5
        assert offsets(log)[0] == 0
