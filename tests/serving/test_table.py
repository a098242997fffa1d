from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from feedback.events import encode
from feedback.log import Log, LogAway, Record, open_log
from feedback.log_sqlite import SqliteLog
from serving.errors import NoSplit
from serving.split import SPLIT_KEY, Split
from serving.table import Table
from serving.wiring import check
from tests.serving.gateway import split, until


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with closing(open_log(f"sqlite:///{tmp_path}/log.db")) as log:
        yield log


@pytest.fixture
def table(log: Log) -> Iterator[Table]:
    with closing(Table(log)) as table:
        table.start()
        yield table


def put(log: Log, decided: Split) -> None:
    log.append("split", SPLIT_KEY, encode(decided))


def test_before_the_first_split_there_is_none(table: Table) -> None:
    with pytest.raises(NoSplit, match="no split is known yet"):
        table.current()
    assert table.revision() == 0


def test_the_newest_split_is_followed(log: Log, table: Table) -> None:
    for revision in (1, 2, 3):
        put(log, split(revision))
    until(lambda: table.revision() == 3)
    put(log, split(2, "late"))
    put(log, split(3, "lost-the-race"))
    put(log, split(4))
    until(lambda: table.revision() == 4)
    assert table.current().stable == "model-v1"


def test_a_restart_finds_the_split_again(log: Log) -> None:
    put(log, split(7))
    with closing(Table(log)) as table:
        table.start()
        until(lambda: table.revision() == 7)


def test_a_bad_record_is_left_out(log: Log, table: Table, caplog: pytest.LogCaptureFixture) -> None:
    put(log, split(1))
    log.append("split", SPLIT_KEY, b"nonsense")
    log.append("split", SPLIT_KEY, encode(split(3)).replace(b"stable", b"stabel"))
    put(log, split(2))
    until(lambda: table.revision() == 2)
    assert "is left out: not JSON" in caplog.text
    assert "is left out: split: stable: Field required" in caplog.text


def test_the_first_stable_serves_until_there_is_a_split(log: Log) -> None:
    with closing(Table(log, "model-v1")) as table:
        table.start()
        until(lambda: _known(table))
        assert (table.current().stable, table.revision()) == ("model-v1", 0)
        put(log, split(1, "model-v2"))
        until(lambda: table.revision() == 1)
        assert table.current().stable == "model-v2"


def _known(table: Table) -> bool:
    try:
        return bool(table.current())
    except NoSplit:
        return False


class AwayLog(SqliteLog):
    """A log that goes away whenever it has said something."""

    def wait(self, topic: str, partition: int, start: int, seconds: float) -> bool:
        raise LogAway("gone")


def test_the_last_good_split_stays_when_the_log_goes_away(tmp_path: Path) -> None:
    log = AwayLog(tmp_path / "log.db")
    put(log, split(1))
    with closing(log), closing(Table(log, "model-v9")) as table:
        table.start()
        until(lambda: table.revision() == 1)
        put(log, split(2))
        until(lambda: table.revision() == 2)
        assert table.current().stable == "model-v1"


class RefusedLog(SqliteLog):
    """A log whose topics would lose records, until they are mended."""

    mended = False

    def partitions(self, topic: str) -> int:
        self.read(topic, 0, 0)
        return super().partitions(topic)

    def read(self, topic: str, partition: int, start: int, limit: int = 1000) -> list[Record]:
        if not self.mended:
            raise ValueError("thumbwheel.split has 2 partitions; expected 1")
        return super().read(topic, partition, start, limit)


@pytest.mark.integration  # half a second before each try
def test_a_log_that_is_refused_is_told_until_it_is_mended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(RefusedLog(tmp_path / "log.db")) as log, closing(Table(log)) as table:
        put(log, split(1))
        table.start()
        until(lambda: caplog.text.count("the log is refused; nothing is served until") >= 2)
        assert "thumbwheel.split has 2 partitions; expected 1" in caplog.text
        log.mended = True
        until(lambda: table.revision() == 1)


def test_a_gateway_does_not_start_on_a_log_that_is_refused(tmp_path: Path) -> None:
    with closing(RefusedLog(tmp_path / "log.db")) as log:
        with pytest.raises(SystemExit, match=r"the log is refused: .* has 2"):
            check(log)
        log.mended = True
        check(log)


class GoneLog(SqliteLog):
    def partitions(self, topic: str) -> int:
        raise LogAway("gone")


def test_a_gateway_starts_while_the_log_is_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(GoneLog(tmp_path / "log.db")) as log:
        check(log)
    assert "the log is away; what comes waits in the spool: gone" in caplog.text
