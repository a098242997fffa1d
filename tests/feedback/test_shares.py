"""Workers that share partitions, some of them real processes that are killed."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from feedback.shares import GRACE_SECONDS, Shares

HOLD = """
import sys, time; from pathlib import Path; from feedback.shares import Shares
shares = Shares(Path(sys.argv[1]), partitions=6, workers=2)
print(shares.mine(), flush=True); time.sleep(60)
"""


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def one(tmp_path: Path, clock: Clock) -> Iterator[Callable[[int, int], Shares]]:
    opened: list[Shares] = []

    def open_one(partitions: int, workers: int) -> Shares:
        opened.append(Shares(tmp_path, partitions=partitions, workers=workers, clock=clock))
        return opened[-1]

    yield open_one
    for shares in opened:
        shares.close()


@contextmanager
def another(folder: Path) -> Iterator[str]:
    """A process that shares six partitions with one more, and is killed; what it holds."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert child.stdout is not None
    with child.stdout as said:
        try:
            yield said.readline().strip()
        finally:
            child.kill()
            child.wait()


def test_one_worker_has_all(one: Callable[[int, int], Shares]) -> None:
    only = one(6, 1)
    assert only.mine() == only.mine() == [0, 1, 2, 3, 4, 5]


def test_workers_share_and_no_partition_is_twos(one: Callable[[int, int], Shares]) -> None:
    three = [one(7, 3) for _ in range(3)]
    held = [worker.mine() for worker in three]
    assert held == [worker.mine() for worker in three] == [[0, 1, 2], [3, 4, 5], [6]]


def test_what_a_killed_worker_held_is_taken_on_after_a_while(
    tmp_path: Path, one: Callable[[int, int], Shares], clock: Clock
) -> None:
    with another(tmp_path) as held:
        assert held == "[0, 1, 2]"
        here = one(6, 2)
        assert here.mine() == [3, 4, 5]
        clock.seconds = 10 * GRACE_SECONDS
        assert here.mine() == [3, 4, 5]
    clock.seconds += GRACE_SECONDS - 1
    assert here.mine() == [3, 4, 5]
    clock.seconds += 1
    assert here.mine() == [0, 1, 2, 3, 4, 5]


def test_who_comes_back_finds_its_share(
    tmp_path: Path, one: Callable[[int, int], Shares], clock: Clock
) -> None:
    here = one(6, 2)
    clock.seconds = GRACE_SECONDS
    assert here.mine() == [0, 1, 2, 3, 4, 5]
    with another(tmp_path) as held:
        assert held == "[]"  # nothing is free yet
        assert here.mine() == [0, 1, 2]
        there = one(6, 2)
        assert there.mine() == []
    assert there.mine() == []  # it has the seat now, but nothing was let go
    for partition in (3, 4, 5):
        here.let_go(partition)
    assert (here.mine(), there.mine()) == ([0, 1, 2], [3, 4, 5])


def test_who_comes_when_all_seats_are_taken_waits_for_one(
    one: Callable[[int, int], Shares],
) -> None:
    first, second, third = one(3, 2), one(3, 2), one(3, 2)
    assert [first.mine(), second.mine(), third.mine()] == [[0, 1], [2], []]
    first.close()
    assert third.mine() == [0, 1]


def test_who_has_no_seat_takes_nothing_from_who_has_one(
    one: Callable[[int, int], Shares],
) -> None:
    first, second, third = one(2, 2), one(2, 2), one(2, 2)
    assert [first.mine(), second.mine(), third.mine()] == [[0], [1], []]
    second.let_go(1)
    assert [third.mine(), second.mine()] == [[], [1]]
