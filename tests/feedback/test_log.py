"""The log's contract, on both logs."""

import threading
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from feedback.log import (
    MAX_RECORD_BYTES,
    READ_BYTES,
    Log,
    LogAway,
    Position,
    Record,
    RecordTooLarge,
    follow,
    open_log,
    read_all,
)


def test_what_is_appended_is_read_back_in_order(log: Log) -> None:
    assert log.append("verdicts", "a", b"1") == Position(0, 0)
    assert log.append_all([("verdicts", "b", b"2"), ("completions", "c", b"3")]) == [
        Position(0, 1),
        Position(0, 0),
    ]
    assert [(r.position.offset, r.key, r.value) for r in log.read("verdicts", 0, 0)] == [
        (0, "a", b"1"),
        (1, "b", b"2"),
    ]
    assert log.end("verdicts") == {0: 2}
    assert log.end("scores") == {0: 0}
    assert log.partitions("verdicts") == 1


def test_reading_starts_anywhere_and_keeps_its_limit(log: Log) -> None:
    log.append_all([("verdicts", "k", b"%d" % i) for i in range(10)])
    assert [r.value for r in log.read("verdicts", 0, 7)] == [b"7", b"8", b"9"]
    assert [r.value for r in log.read("verdicts", 0, 2, limit=3)] == [b"2", b"3", b"4"]
    assert log.read("verdicts", 0, 10) == []


def test_read_all_reads_more_than_a_batch(log: Log) -> None:
    log.append_all([("verdicts", "k", b"%d" % i) for i in range(2500)])
    assert len(list(read_all(log, "verdicts"))) == 2500


def test_following_tells_where_the_end_is_and_goes_on(log: Log) -> None:
    log.append("split", "k", b"1")
    records = follow(log, "split")
    first, end = islice(records, 2)
    assert first is not None
    assert first.value == b"1"
    assert end is None
    log.append("split", "k", b"2")
    later = next(r for r in records if r is not None)
    assert later.value == b"2"


def test_waiting_ends_when_there_is_more_and_when_the_time_is_over(log: Log) -> None:
    assert not log.wait("split", 0, 0, 0.01)
    writer = threading.Timer(0.1, log.append, ("split", "k", b"1"))
    writer.start()
    while not log.wait("split", 0, 0, 0.05):
        pass
    until_read = [record.value for _ in range(100) for record in log.read("split", 0, 0)]
    assert until_read and set(until_read) == {b"1"}
    writer.join()
    assert log.wait("split", 0, 0, 0.5)  # what was waited for can be waited for again
    assert not log.wait("split", 0, 1, 0.01)


def test_writers_in_many_threads_never_share_an_offset(open_again: Callable[[], Log]) -> None:
    logs = [open_again() for _ in range(2)]  # as two processes would

    def write(log: Log) -> None:
        for _ in range(50):
            log.append("verdicts", "k", b"v")

    threads = [threading.Thread(target=write, args=(logs[i % 2],)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [r.position.offset for r in logs[0].read("verdicts", 0, 0)] == list(range(300))


def test_what_one_wrote_another_reads(open_again: Callable[[], Log]) -> None:
    open_again().append("verdicts", "schlüssel", b"\x00\xff")
    assert open_again().read("verdicts", 0, 0) == [Record(Position(0, 0), "schlüssel", b"\x00\xff")]


def test_a_reader_may_jump_to_and_fro(log: Log) -> None:
    log.append_all([("verdicts", "k", b"%d" % i) for i in range(50)])
    for start in (0, 40, 3, 49, 50, 0):
        found = log.read("verdicts", 0, start, limit=5)
        assert [r.position.offset for r in found] == list(range(start, min(50, start + 5)))


def test_a_reader_at_the_end_sees_what_comes_later(log: Log) -> None:
    for number in range(3):
        assert log.read("verdicts", 0, number) == []
        log.append("verdicts", "k", b"%d" % number)
        assert [r.value for r in log.read("verdicts", 0, number)] == [b"%d" % number]


def test_large_records_pass_and_too_large_ones_are_refused_by_size(log: Log) -> None:
    large = b"x" * MAX_RECORD_BYTES
    log.append_all([("completions", "k", large), ("completions", "k", b"small")])
    assert [len(r.value) for r in log.read("completions", 0, 0)] == [MAX_RECORD_BYTES, 5]
    with pytest.raises(RecordTooLarge, match="8,000,001 bytes; expected at most 8,000,000"):
        log.append("completions", "k", large + b"x")


def test_a_read_of_large_records_ends_in_time_and_leaves_none_out(log: Log) -> None:
    for number in range(10):
        log.append("completions", "k", b"%d" % number + bytes(5_000_000))
    first = log.read("completions", 0, 0)
    sizes = [len(record.value) for record in first]
    assert sum(sizes[:-1]) <= READ_BYTES < sum(sizes)
    rest = log.read("completions", 0, len(first))
    assert b"".join(record.value[:1] for record in first + rest) == b"0123456789"


def test_a_partition_that_there_is_not_is_refused(log: Log) -> None:
    with pytest.raises(ValueError, match="partition is 1; "):
        log.read("verdicts", 1, 0)


def test_an_unknown_topic_is_refused_by_name(log: Log) -> None:
    with pytest.raises(ValueError, match=r"topic is 'votes'; expected one of completions, "):
        log.append("votes", "k", b"v")


@pytest.mark.parametrize("url", ["redis://x", "log.db", "sqlite://log.db", "sqlite:///"])
def test_an_unknown_url_is_refused_with_what_was_expected(url: str) -> None:
    with pytest.raises(ValueError, match=r"log url is .*; expected sqlite:///"):
        open_log(url)


def test_a_file_that_is_no_log_is_said_to_be_away(tmp_path: Path) -> None:
    (tmp_path / "log.db").write_text("this is no database, but a text that is long enough to see")
    with pytest.raises(LogAway, match=r"log\.db: file is not a database"):
        open_log(f"sqlite:///{tmp_path}/log.db")
