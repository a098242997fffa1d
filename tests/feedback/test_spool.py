"""The spool against a real log, one that goes away, and the death of its process."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from feedback.log import MAX_RECORD_BYTES, LogAway, Position, RecordTooLarge, open_log
from feedback.log_sqlite import SqliteLog
from feedback.spool import Pace, Spool
from feedback.spool_file import SpoolFile, encode, locked

SOON = Pace(retry_seconds=0.02)


class FlakyLog(SqliteLog):
    """A log that is away until told otherwise."""

    away = True

    def append_all(self, items: list[tuple[str, str, bytes]]) -> list[Position]:
        if self.away:
            raise LogAway("away, as the test wishes")
        return super().append_all(items)


def until(claim: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.01)


def test_records_reach_the_log_in_order(tmp_path: Path) -> None:
    log = open_log(f"sqlite:///{tmp_path}/log.db")
    spool = Spool(tmp_path / "spool", log)
    for i in range(500):
        spool.append_soon("completions", f"k{i}", b"%d" % i)
    spool.close()
    assert [r.value for r in log.read("completions", 0, 0)] == [b"%d" % i for i in range(500)]
    log.close()


def test_while_the_log_is_away_records_wait_and_then_follow_in_order(tmp_path: Path) -> None:
    log = FlakyLog(tmp_path / "log.db")
    spool = Spool(tmp_path / "spool", log, pace=SOON)
    spool.append("verdicts", "a", b"first")
    spool.append_soon("completions", "b", b"second")
    assert log.end("verdicts") == {0: 0}
    assert spool.waiting_bytes > 0
    log.away = False
    until(lambda: spool.waiting_bytes == 0)
    assert log.read("verdicts", 0, 0)[0].value == b"first"
    assert log.read("completions", 0, 0)[0].value == b"second"
    spool.close()
    log.close()


def test_what_a_closed_spool_could_not_hand_over_the_next_one_does(tmp_path: Path) -> None:
    log = FlakyLog(tmp_path / "log.db")
    spool = Spool(tmp_path / "spool", log)
    spool.append("verdicts", "a", b"kept")
    spool.close()
    log.away = False
    Spool(tmp_path / "spool", log).close()
    assert [r.value for r in log.read("verdicts", 0, 0)] == [b"kept"]
    assert list((tmp_path / "spool").iterdir()) == []
    log.close()


def test_a_process_killed_at_once_loses_no_record(tmp_path: Path) -> None:
    program = """
import sys, time
from pathlib import Path
from feedback.log import open_log
from feedback.spool import Spool
spool = Spool(Path(sys.argv[1]) / "spool", open_log(f"sqlite:///{sys.argv[1]}/log.db"))
for i in range(300):
    spool.append_soon("completions", f"k{i}", b"%d" % i)
print("written", flush=True)
time.sleep(60)
"""
    child = subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"written\n"
    child.send_signal(signal.SIGKILL)
    child.communicate()
    log = open_log(f"sqlite:///{tmp_path}/log.db")
    Spool(tmp_path / "spool", log).close()
    values = {record.value for record in log.read("completions", 0, 0)}
    assert values == {b"%d" % i for i in range(300)}
    log.close()


def test_a_torn_or_damaged_record_is_left_out_and_the_others_are_kept(tmp_path: Path) -> None:
    log = FlakyLog(tmp_path / "log.db")
    spool = Spool(tmp_path / "spool", log)
    for value in (b"one", b"two", b"three"):
        spool.append_soon("completions", "k", value)
    spool.close()
    path = next((tmp_path / "spool").glob("*.spool"))
    one, two, three = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(one + b"00000000" + two[8:] + three[:-4])
    log.away = False
    Spool(tmp_path / "spool", log).close()
    assert [r.value for r in log.read("completions", 0, 0)] == [b"one"]
    log.close()


def test_a_spool_that_was_handed_over_takes_no_room(tmp_path: Path) -> None:
    log = open_log(f"sqlite:///{tmp_path}/log.db")
    spool = Spool(tmp_path / "spool", log)
    for _ in range(50):
        spool.append_soon("completions", "k", b"x" * 10_000)
    until(lambda: sum(p.stat().st_size for p in (tmp_path / "spool").iterdir()) == 0)
    spool.close()
    assert {r.value for r in log.read("completions", 0, 0)} == {b"x" * 10_000}
    log.close()


def test_a_left_file_that_cannot_be_read_keeps_no_other_from_the_log(tmp_path: Path) -> None:
    log = FlakyLog(tmp_path / "log.db")
    earlier = Spool(tmp_path / "spool", log)
    earlier.append_soon("completions", "k", b"left")
    earlier.close()
    log.away = False
    broken = tmp_path / "spool" / "00000000.spool"
    broken.mkdir()
    spool = Spool(tmp_path / "spool", log, pace=SOON)
    for own in (b"one", b"two"):
        spool.append_soon("completions", "k", own)
        until(lambda: spool.waiting_bytes == 0)
    spool.close()
    assert [r.value for r in log.read("completions", 0, 0)] == [b"left", b"one", b"two"]
    assert list((tmp_path / "spool").iterdir()) == [broken]
    log.close()


class FaultyLog(SqliteLog):
    """Its second batch fails as nobody foresaw, once."""

    batches = 0

    def append_all(self, items: list[tuple[str, str, bytes]]) -> list[Position]:
        self.batches += 1
        if self.batches == 2:
            raise RuntimeError("as the test wishes")
        return super().append_all(items)


def test_after_an_error_that_nobody_foresaw_it_goes_on_where_it_was(tmp_path: Path) -> None:
    flaky = FlakyLog(tmp_path / "log.db")
    earlier = Spool(tmp_path / "spool", flaky)
    values = [b"%d" % i * 10_000 for i in range(100)]  # more than one batch
    for value in values:
        earlier.append_soon("completions", "k", value)
    earlier.close()
    flaky.close()
    log = FaultyLog(tmp_path / "log.db")
    spool = Spool(tmp_path / "spool", log, pace=SOON)
    until(lambda: log.end("completions") == {0: 100})
    spool.append_soon("completions", "k", b"own")
    spool.close()
    assert [r.value for r in log.read("completions", 0, 0)] == [*values, b"own"]
    log.close()


def test_what_is_lost_on_a_full_disk_is_told(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from resource import RLIMIT_FSIZE, setrlimit
from feedback.spool import Spool
from tests.feedback.test_spool import FlakyLog
spool = Spool(Path(sys.argv[1]) / "spool", FlakyLog(Path(sys.argv[1]) / "log.db"))
setrlimit(RLIMIT_FSIZE, (50_000, 50_000))
values = [b"x" * 15_000] * 5 + [b"small"]  # a third more in base64
print(*(spool.append_soon("completions", "k", value) for value in values))
spool.close()
"""
    child = [sys.executable, "-c", program, str(tmp_path)]
    told = subprocess.run(child, env={**os.environ, "PYTHONPATH": "."}, stdout=subprocess.PIPE)
    assert told.stdout == b"True True False False False True\n"
    log = open_log(f"sqlite:///{tmp_path}/log.db")
    Spool(tmp_path / "spool", log).close()
    values = [record.value for record in log.read("completions", 0, 0)]
    assert values == [b"x" * 15_000, b"x" * 15_000, b"small"]
    log.close()


TRIP_SECONDS = 0.1


class SlowLog(SqliteLog):
    """Takes its time for each trip, and counts them."""

    trips = 0

    def append_all(self, items: list[tuple[str, str, bytes]]) -> list[Position]:
        self.trips += 1
        time.sleep(TRIP_SECONDS)
        return super().append_all(items)


def test_nobody_waits_for_a_slow_log_and_many_share_a_trip(tmp_path: Path) -> None:
    log = SlowLog(tmp_path / "log.db")
    spool = Spool(tmp_path / "spool", log)
    with ThreadPoolExecutor(8) as pool:
        began = time.monotonic()
        done = [pool.submit(spool.append, "verdicts", "k", b"%d" % i) for i in range(40)]
        for one in done:
            one.result()
        waited = time.monotonic() - began
    assert spool.waiting_bytes > 0  # they were answered before the log had them
    assert waited < 40 * TRIP_SECONDS
    spool.close()
    assert sorted(int(r.value) for r in log.read("verdicts", 0, 0)) == list(range(40))
    assert log.trips < 20
    log.close()


class HeldLog(SqliteLog):
    """Takes nothing until it is let go."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.go = threading.Event()

    def append_all(self, items: list[tuple[str, str, bytes]]) -> list[Position]:
        self.go.wait(60)
        return super().append_all(items)


def test_what_comes_after_a_quiet_time_is_handed_over_too(tmp_path: Path) -> None:
    """The thread gathers on for a while by itself, then sleeps until it is woken."""
    with closing(SqliteLog(tmp_path / "log.db")) as log:
        pace = Pace(gather_seconds=0.01, linger_seconds=0.05, look_seconds=60)
        with closing(Spool(tmp_path / "spool", log, pace=pace)) as spool:
            for number in range(3):
                spool.append_soon("completions", "k", b"%d" % number)
                until(lambda: log.end("completions")[0] == number + 1)  # noqa: B023
                until(lambda: not spool._more.is_set())


def test_while_the_log_takes_too_long_only_the_first_waits_for_it(tmp_path: Path) -> None:
    log = HeldLog(tmp_path / "log.db")
    spool = Spool(tmp_path / "spool", log, pace=Pace(patience_seconds=0.3))
    began = time.monotonic()
    for number in range(20):
        spool.append("verdicts", "k", b"%d" % number)
    waited = time.monotonic() - began
    log.go.set()
    spool.close()
    assert waited < 20 * 0.3 / 2
    assert [int(r.value) for r in log.read("verdicts", 0, 0)] == list(range(20))
    log.close()


def test_where_too_much_waits_completions_are_shed_and_verdicts_never(tmp_path: Path) -> None:
    log = FlakyLog(tmp_path / "log.db")
    spool = Spool(tmp_path / "spool", log, max_bytes=5_000)
    kept = [spool.append_soon("completions", "k", b"x" * 1_000) for _ in range(10)]
    spool.append("verdicts", "k", b"kept")
    assert kept == [True] * 4 + [False] * 6
    spool.close()
    again = Spool(
        tmp_path / "spool", log, max_bytes=5_000, pace=SOON
    )  # what a run that died left counts too
    assert not again.append_soon("completions", "k", b"x")
    log.away = False
    until(lambda: again.waiting_bytes == 0)
    assert again.append_soon("completions", "k", b"x")
    again.close()
    assert [r.value for r in log.read("verdicts", 0, 0)] == [b"kept"]
    assert len(log.read("completions", 0, 0)) == 5
    log.close()


def test_a_record_that_no_log_takes_holds_up_no_other(tmp_path: Path) -> None:
    log = open_log(f"sqlite:///{tmp_path}/log.db")
    spool = Spool(tmp_path / "spool", log)
    assert not spool.append_soon("completions", "k", b"x" * (MAX_RECORD_BYTES + 1))
    with pytest.raises(RecordTooLarge):
        spool.append("verdicts", "k", b"x" * (MAX_RECORD_BYTES + 1))
    spool.append("verdicts", "k", b"small")
    spool.close()
    assert [r.value for r in log.read("verdicts", 0, 0)] == [b"small"]
    log.close()


def test_a_disk_that_is_full_is_no_matter_while_the_log_takes_it(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from resource import RLIMIT_FSIZE, setrlimit
from feedback.log import LogAway
from feedback.spool import Spool
from tests.feedback.test_spool import FlakyLog
log = FlakyLog(Path(sys.argv[1]) / "log.db")
spool = Spool(Path(sys.argv[1]) / "spool", log)
setrlimit(RLIMIT_FSIZE, (1_000_000, 1_000_000))
while spool.append_soon("completions", "k", b"x" * 100_000):
    pass
try:
    spool.append("verdicts", "k", b"v" * 100_000)
except LogAway as error:
    print("refused:", error)
log.away = False
spool.append("verdicts", "k", b"taken" * 20_000)
print(len(log.read("verdicts", 0, 0)))
spool.close()
"""
    child = [sys.executable, "-c", program, str(tmp_path)]
    told = subprocess.run(child, env={**os.environ, "PYTHONPATH": "."}, stdout=subprocess.PIPE)
    assert told.stdout.decode().splitlines() == ["refused: away, as the test wishes", "1"]


def files(folder: Path) -> list[Path]:
    return sorted((folder / "spool").iterdir())


class FullLog(SqliteLog):
    """Takes a number of batches, then is away until it takes more."""

    batches = 0

    def append_all(self, items: list[tuple[str, str, bytes]]) -> list[Position]:
        if not self.batches:
            raise LogAway("away, as the test wishes")
        self.batches -= 1
        return super().append_all(items)


SHORT = Pace(file_bytes=10_000, batch_bytes=4_000, retry_seconds=0.02)


def test_what_is_handed_over_takes_no_room_though_more_always_waits(tmp_path: Path) -> None:
    log = FullLog(tmp_path / "log.db")
    spool = Spool(tmp_path / "spool", log, pace=SHORT)
    for number in range(40):
        assert spool.append_soon("completions", "k", b"%04d" % number * 250)
    on_disk = [path.stat().st_size for path in files(tmp_path)]
    assert (len(on_disk), spool.waiting_bytes) == (5, sum(on_disk))
    log.batches = 9  # of three, three and two records: three files
    until(lambda: len(files(tmp_path)) == len(on_disk) - 3)
    assert spool.waiting_bytes == sum(on_disk[3:])
    log.batches = 1000
    spool.close()
    assert [int(r.value[:4]) for r in log.read("completions", 0, 0)] == list(range(40))
    assert files(tmp_path) == []
    log.close()


def test_after_a_kill_only_the_last_file_comes_again(tmp_path: Path) -> None:
    program = """
import sys, time
from pathlib import Path
from feedback.spool import Spool
from tests.feedback.test_spool import SHORT, FullLog
folder = Path(sys.argv[1])
log = FullLog(folder / "log.db")
spool = Spool(folder / "spool", log, pace=SHORT)
for number in range(40):
    spool.append("completions", "k", b"%04d" % number * 250)
log.batches = 10  # of three, three and two records: three files, and a part of the next
while log.batches:
    time.sleep(0.01)
print("written", flush=True)
time.sleep(60)
"""
    log = FullLog(tmp_path / "log.db")
    child = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": "."},
    )
    with child, child.stdout as said:  # type: ignore[union-attr]  # a pipe
        assert said.readline() == b"written\n"
        before = [int(r.value[:4]) for r in log.read("completions", 0, 0)]
        lived = Spool(tmp_path / "spool", log)
        assert lived.waiting_bytes == 0
        lived.close()
        child.kill()
    log.batches = 1000
    Spool(tmp_path / "spool", log).close()
    again = [int(r.value[:4]) for r in log.read("completions", 0, len(before))]
    assert before == list(range(len(before)))
    assert again == list(range(again[0], 40))
    assert len(before) - 8 < again[0] <= len(before)
    assert files(tmp_path) == []
    log.close()


def test_the_files_of_a_process_that_lives_are_its_own_until_it_dies(tmp_path: Path) -> None:
    program = """
import sys, time
from pathlib import Path
from feedback.spool import Spool
from tests.feedback.test_spool import FlakyLog
folder = Path(sys.argv[1])
spool = Spool(folder / "spool", FlakyLog(folder / "away.db"))
for line in sys.stdin:
    spool.append("verdicts", "k", line.strip().encode())
    print("durable", flush=True)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": "."},
    )
    log = open_log(f"sqlite:///{tmp_path}/log.db")
    with child:
        say(child, b"first")
        spool = Spool(tmp_path / "spool", log, pace=Pace(look_seconds=0.05))
        say(child, b"second")
        spool.append("verdicts", "k", b"own")
        until(lambda: log.end("verdicts") == {0: 1})
        assert len(files(tmp_path)) == 2
        child.kill()
        child.wait()
        until(lambda: log.end("verdicts") == {0: 3})
    spool.close()
    assert [r.value for r in log.read("verdicts", 0, 0)] == [b"own", b"first", b"second"]
    assert files(tmp_path) == []
    log.close()


def say(child: subprocess.Popen[bytes], word: bytes) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(word + b"\n")
    child.stdin.flush()
    assert child.stdout.readline() == b"durable\n"


def test_of_ones_own_file_nothing_is_read_beyond_what_is_written(tmp_path: Path) -> None:
    line = encode(("verdicts", "k", b"whole"))
    with locked(tmp_path / "1.spool", "xb") as handle:  # type: ignore[union-attr]  # nobody else has it
        file = SpoolFile(tmp_path / "1.spool", handle, own=True)
        file.put(line)
        handle.write(line)  # as a write does that is not done, and may yet be taken back
        assert file.lines(file.written, 1000) == [line]
        file.moved = file.written
        assert file.lines(file.written, 1000) == []
        file.put(b"x\n")
        assert file.lines(file.written, 1000) == [b"x\n"]
