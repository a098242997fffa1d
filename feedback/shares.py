"""Which partitions are this worker's: those whose locks it holds. Knows nothing of what is in them.

A lock goes with its process, however that ends, and another worker takes the partition on.
"""

import fcntl
import os
from math import ceil
from pathlib import Path


class Shares:
    def __init__(self, folder: Path, *, partitions: int, workers: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._partitions = folder, partitions
        self._enough = ceil(partitions / workers)
        self._locks: dict[int, int] = {}

    def mine(self) -> list[int]:
        """Takes what is free, up to a fair share."""
        for partition in range(self._partitions):
            if len(self._locks) < self._enough and partition not in self._locks:
                self._try(partition)
        return sorted(self._locks)

    def close(self) -> None:
        for lock in self._locks.values():
            os.close(lock)
        self._locks.clear()

    def _try(self, partition: int) -> None:
        lock = os.open(self._folder / f"{partition:04d}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            self._locks[partition] = lock
