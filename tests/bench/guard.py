"""What a step of the guard costs, in the worker's thread, while more and more opinions are known.

`python -m tests.bench.guard [--most 500000]`: a file of new verdicts, then one by a bot.
"""

import argparse
import logging
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from random import Random

from feedback import examples
from feedback.examples import Example, Identity
from feedback.guard import Opinion, Rules
from feedback.log import open_log
from feedback.patrol import Patrol
from feedback.raters import Raters
from tests.feedback.made import START, completion, settled, thumb

EACH = 50  # opinions of a rater
NEW = 500  # verdicts in a file
BOT = 100_000
BATCH = 10_000
MEASURED = 5  # steps
RANDOM = Random(0)
(MADE,) = settled(completion(), thumb(True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=500_000)
    most = parser.parse_args().most
    logging.disable()  # every verdict that is quarantined is told
    with tempfile.TemporaryDirectory() as home, closing(Bench(Path(home))) as bench:
        for known in (10_000, 100_000, 500_000):
            if known <= most:
                bench.fill(known)
                bench.tell(f"{known:>8,} opinions, {NEW} more", known // EACH)
        bench.add(_opinion(f"b{i}", "bot", i) for i in range(BOT))
        bench.tell(f"a bot's {BOT:,}, one more", 0)


class Bench:
    def __init__(self, home: Path) -> None:
        self._folder, self._known, self._end = home / "examples", 0, 0
        self._log = open_log(f"sqlite:///{home}/log.db")
        self._raters = Raters(home / "raters.db")
        self._patrol = Patrol(self._log, self._folder, self._raters, Rules())

    def fill(self, known: int) -> None:
        self.add(_opinion(f"c{i}", f"u{i // EACH}", i) for i in range(self._known, known))
        self._known = known

    def add(self, said: Iterator[Opinion]) -> None:
        all_said = list(said)
        for at in range(0, len(all_said), BATCH):
            with self._raters.changing():
                self._raters.add(all_said[at : at + BATCH], [], [])

    def tell(self, what: str, raters: int) -> None:
        costs = sorted(self._cost(raters) for _ in range(MEASURED))
        print(
            f"{what:>30}: a step {1e3 * statistics.median(costs):8.1f} ms "
            f"({1e3 * costs[0]:.1f} to {1e3 * costs[-1]:.1f})",
            flush=True,
        )

    def close(self) -> None:
        self._raters.close()
        self._log.close()

    def _cost(self, raters: int) -> float:
        """Of news by as many raters, or one more by the bot."""
        self._end += NEW
        start, end = ({"completions/0": n, "verdicts/0": n} for n in (self._end - NEW, self._end))
        who = [f"u{RANDOM.randrange(raters)}" for _ in range(NEW)] if raters else ["bot"]
        rows = [_example(f"n{self._end}-{i}", rater, i) for i, rater in enumerate(who)]
        examples.append(self._folder, start, end, rows)
        began = time.perf_counter()
        self._patrol.step()
        return time.perf_counter() - began


def _opinion(name: str, rater: str, i: int) -> Opinion:
    """One rater in ten likes all; one word in twenty is a comparison."""
    at = START + timedelta(hours=3 * (i % EACH), seconds=i / BATCH)
    if i % 20 == 0:
        return Opinion(Identity(name, "comparison", rater), rater, "v1", at, None, "a", f"r{i}")
    up = (i // EACH) % 10 == 0 or RANDOM.random() < 0.5
    return Opinion(Identity(name, "thumb", rater), rater, f"v{i % 2}", at, up)


def _example(name: str, rater: str, i: int) -> Example:
    when = START + timedelta(days=6, minutes=i)
    return MADE._replace(completion_id=name, user=rater, rater=rater, adapter="v1", judged_at=when)


if __name__ == "__main__":
    main()
