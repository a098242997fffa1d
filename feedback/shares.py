"""Which partitions are this worker's: those whose locks it holds. Knows nothing of what is in them.

Each worker holds a seat too, so that the others know how many share. Locks go with their process,
however that ends; the others take its partitions on, and let them go when it is back.
"""

import fcntl
import os
from collections.abc import Callable
from math import ceil
from pathlib import Path
from time import monotonic

GRACE_SECONDS = 30.0  # a worker that starts again is back sooner, and its partitions stay its own


class Shares:
    def __init__(
        self,
        folder: Path,
        *,
        partitions: int,
        workers: int,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._partitions, self._clock = folder, partitions, clock
        self._seat: tuple[int, int] | None = None  # its number, its lock
        self._taken = dict.fromkeys(range(workers), clock())  # when each seat was last seen so
        self._locks: dict[int, int] = {}

    def mine(self) -> list[int]:
        """Takes what is free, up to a fair share. What is beyond it is left out: let that go."""
        enough = self._enough()
        for partition in range(self._partitions):
            if len(self._locks) < enough and partition not in self._locks:
                lock = self._lock(f"{partition:04d}", fcntl.LOCK_EX)
                if lock is not None:
                    self._locks[partition] = lock
        return sorted(list(self._locks)[:enough])  # the longest held

    def let_go(self, partition: int) -> None:
        """Another may take it at once: whatever is open of it is closed before."""
        os.close(self._locks.pop(partition))

    def close(self) -> None:
        for partition in list(self._locks):
            self.let_go(partition)
        if self._seat:
            os.close(self._seat[1])
            self._seat = None

    def _enough(self) -> int:
        """Who finds no seat is one too many, and waits for one."""
        self._sit()
        now = self._clock()
        self._taken |= {number: now for number in self._taken if self._is_taken(number)}
        sharing = sum(now - seen < GRACE_SECONDS for seen in self._taken.values())
        return ceil(self._partitions / sharing) if self._seat else 0

    def _sit(self) -> None:
        for number in self._taken:
            if self._seat is None:
                lock = self._lock(_seat(number), fcntl.LOCK_EX)
                self._seat = None if lock is None else (number, lock)

    def _is_taken(self, number: int) -> bool:
        if self._seat and self._seat[0] == number:
            return True
        # Shared: two who look at an empty seat at one time do not take each other for its holder.
        lock = self._lock(_seat(number), fcntl.LOCK_SH)
        if lock is not None:
            os.close(lock)
        return lock is None

    def _lock(self, name: str, how: int) -> int | None:
        lock = os.open(self._folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, how | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return lock


def _seat(number: int) -> str:
    return f"seat-{number:04d}"
