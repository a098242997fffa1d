"""What a tick of the controller costs: `python -m tests.bench.tick`.

A rollout that goes on and on, one completion in five rated, on an embedded log, in a home that
has seen many before. As it grows, told is how long a tick takes that sees a second's traffic, and
how much memory the process has.
"""

import argparse
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import median

from feedback import examples
from feedback.events import Completion, encode
from feedback.examples import Example
from ops import history
from ops.act import first_split
from ops.controller import Controller, Parts
from ops.decide import Rules
from ops.metrics import Metrics
from ops.observe import Observer
from ops.refusal import USUAL, compiled
from ops.trial import Done, done
from serving.split import SPLIT_KEY
from tests.feedback.made import completion, settled, thumb
from tests.ops.made import Place
from tests.ops.moved import begin

CANARY, TOKENS = "m-v1", 64
RATED, USERS_EACH = 5, 10  # one completion in so many; completions of one user
_BATCH = 200  # what a worker settles at a time
_TICKS = 21


class Traffic:
    """Half of the users on each side."""

    def __init__(self, place: Place, revision: int) -> None:
        self._place, self._served, self._random = place, 0, Random(1)
        self._revision = revision
        ids, logprobs = tuple(range(TOKENS)), (-0.5,) * TOKENS
        more = {"split_revision": self._revision, "answer_ids": ids, "logprobs": logprobs}
        self._one = completion().model_copy(update=more)
        (self._rated,) = settled(completion(), thumb(True))

    def serve(self, count: int) -> None:
        start = self._served
        self._served += count
        made = [self._made(number) for number in range(start, self._served)]
        self._place.log.append_all([("completions", one.id, encode(one)) for one in made])
        rows = [self._row(one) for one in made[::RATED]]
        before, after = (
            {"completions/0": at, "verdicts/0": at // RATED} for at in (start, self._served)
        )
        examples.append(self._place.examples, before, after, rows)

    def _made(self, number: int) -> Completion:
        user = f"user {number // USERS_EACH}"
        adapter = CANARY if number // USERS_EACH % 2 else "base"
        more = {"id": f"c{number}", "user": user, "adapter": adapter}
        return self._one.model_copy(update=more)

    def _row(self, one: Completion) -> Example:
        return self._rated._replace(
            completion_id=one.id,
            user=one.user,
            rater=one.user,
            adapter=one.adapter,
            split_revision=self._revision,
            up=self._random.random() < 0.5,
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tick", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--a-second", type=int, default=100, help="completions that a tick sees")
    parser.add_argument("--past", type=int, default=300, help="trials that there were before")
    asked = parser.parse_args()
    print("| completions | a tick, ms: median (worst) | read anew, s | memory, MB |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        place = Place(Path(name))
        remember(place, asked.past)
        split = begin(place, CANARY, share_percent=50.0)
        controller, traffic, size = ticking(place), Traffic(place, split.revision), 0
        for wanted in asked.sizes:
            began = 0.0
            while size < wanted:
                traffic.serve(_BATCH)
                size += _BATCH
                began += timed(controller)
            took = [step(controller, traffic, asked.a_second) for _ in range(_TICKS)]
            size += _TICKS * asked.a_second
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            told = f"{1000 * median(took):.1f} ({1000 * max(took):.1f})"
            print(f"| {wanted:,} | {told} | {began:.1f} | {memory:.0f} |", flush=True)
        assert history.splits(place.log)[-1].canary == CANARY  # nothing was decided meanwhile
        place.log.close()


def remember(place: Place, trials: int) -> None:
    """Each with its adapter, four steps and a withdrawal, and the moves of these."""
    splits, moves = [first_split(place.log)], list[Done]()
    for number in range(trials):
        canary = f"m-v{number + 2}"
        place.publish(canary, parent="m-v1")
        for share in (1.0, 5.0, 25.0, 50.0, 0.0):
            before = splits[-1]
            changes = {"canary": canary if share else None, "share_percent": share}
            after = before.model_copy(update={"revision": before.revision + 1} | changes)
            splits.append(after)
            moves += done(before, after)
    place.log.append_all([("split", SPLIT_KEY, encode(split)) for split in splits[1:]])
    for one in moves:
        history.record(place.log, *one, "so")


def step(controller: Controller, traffic: Traffic, count: int) -> float:
    traffic.serve(count)
    return timed(controller)


def timed(controller: Controller) -> float:
    began = time.perf_counter()
    controller.tick()
    return time.perf_counter() - began


def ticking(place: Place) -> Controller:
    rules = Rules(steps_percent=(50.0,), min_gain=0.0, min_seconds=1e9, deadline_seconds=1e9)
    limits = replace(rules.limits, kl_stable=None, kl_base=None)
    parts = Parts(
        log=place.log,
        adapters=place.adapters,
        name="m",
        observer=Observer(place.log, place.examples, compiled(USUAL)),
        warm=lambda _: None,
        leads=lambda: True,
        metrics=Metrics(),
    )
    return Controller(parts, replace(rules, limits=limits))


if __name__ == "__main__":
    main()
