"""What an event costs, and what the worker's memory is, while more and more completions wait.

`python -m tests.bench.window [--most 10000000] [--random]`: ids that begin with the time, as the
gateway makes them, or random ones, as others may.
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

from feedback.answers import answer_of
from feedback.events import encode
from feedback.join import Join, Said, Served
from feedback.window import Window
from tests.feedback.made import SPAN, completion, said_at, thumb

BATCH = 2_000
MEASURED = 20  # batches
RANDOM = Random(0)
MADE = completion()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=1_000_000)
    parser.add_argument("--random", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "window.db"
        with closing(Window(path, span=SPAN, max_bytes=10**12)) as window:
            names = _names(in_order=not asked.random)
            for waiting in _steps(asked.most):
                _fill(window, names, waiting)
                costs = [_cost(window, names) for _ in range(MEASURED)]
                _tell(waiting, costs, path)


def _steps(most: int) -> Iterator[int]:
    waiting = 10_000
    while waiting <= most:
        yield waiting
        waiting *= 10


def _names(*, in_order: bool) -> Iterator[str]:
    number = 0
    while True:
        number += 1
        head = number if in_order else RANDOM.getrandbits(48)
        yield f"chatcmpl-{head:012x}{RANDOM.getrandbits(80):020x}"


def _served(name: str) -> Served:
    one = MADE.model_copy(update={"id": name})
    return Served(answer_of(one), encode(one))


def _fill(window: Window, names: Iterator[str], waiting: int) -> None:
    while (missing := waiting - window.counts()["completions"]) > 0:
        window.commit([_served(next(names)) for _ in range(min(missing, BATCH))], [], {})


def _cost(window: Window, names: Iterator[str]) -> float:
    """Seconds for one event: completions come, then thumbs on them; both are looked up and kept."""
    served = [_served(next(names)) for _ in range(BATCH)]
    said = [_said(one) for one in served]
    ids = {one.answer.id for one in served}
    began = time.perf_counter()
    window.groups(set(), ids)
    window.commit(served, [], {"completions/0": 1})
    known, join = window.groups(ids, set()), Join(SPAN)
    for one in said:
        group = known[one.verdict.completion_id]
        assert join.news(group, group.add([], [one]))
    window.commit([], said, {"verdicts/0": 1})
    return (time.perf_counter() - began) / (2 * BATCH)


def _said(served: Served) -> Said:
    made = thumb(True, 1, of=served.answer.id)
    return said_at(RANDOM.getrandbits(60), made)


def _tell(waiting: int, costs: list[float], path: Path) -> None:
    micros = sorted(1e6 * cost for cost in costs)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{waiting:>12,} waiting: {statistics.median(micros):6.1f} µs an event "
        f"({micros[0]:.1f} to {micros[-1]:.1f}), memory {memory:,.0f} MB, "
        f"database {path.stat().st_size / 1e6:,.0f} MB",
        flush=True,
    )


if __name__ == "__main__":
    main()
