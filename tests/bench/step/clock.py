"""How long each step takes, and how much memory: by CUDA's events, or of the CPU."""

import gc
import resource
import time
from itertools import pairwise
from typing import Any, NamedTuple

import torch

from tests.bench.step.scale import ON_GPU


class Seen(NamedTuple):
    seconds: list[float]  # of each step
    losses: list[float]
    megabytes: float  # above what lay there before the first


class Clock:
    def __init__(self) -> None:
        gc.collect()
        if ON_GPU:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        self._floor = _peak()
        self._ticks = list[Any]()

    def tick(self) -> None:
        """Before each step, and after the last."""
        self._ticks.append(_now())

    def seen(self, losses: list[float]) -> Seen:
        if ON_GPU:
            torch.cuda.synchronize()
        steps = [_between(*ticks) for ticks in pairwise(self._ticks)]
        return Seen(steps, losses, _peak() - self._floor)


def _now() -> Any:
    if not ON_GPU:
        return time.process_time()
    event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    event.record()
    return event


def _between(before: Any, after: Any) -> float:
    return before.elapsed_time(after) / 1000 if ON_GPU else after - before  # type: ignore[no-any-return]


def _peak() -> float:
    if ON_GPU:
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
