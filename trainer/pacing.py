"""Work that goes on for ever within a share of the time."""

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from feedback.log import LogAway
from trainer.parent import AnotherName

_LOOK_SECONDS = 0.5
_log = logging.getLogger("trainer.score")


class Rhythm(NamedTuple):
    per_minute: int
    share: float
    retry_seconds: float = 30.0

    def pause(self, took_seconds: float, done: int) -> float:
        """Until the next turn, after one that took so long and did so much."""
        yielded = took_seconds * (1 / self.share - 1)
        return max(yielded, done * 60 / self.per_minute - took_seconds)


def keep_on(
    turn: Callable[[], int],
    rhythm: Rhythm,
    *,
    yields: Callable[[], bool],
    spent: Callable[[], float] = time.process_time,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """For ever, within its share; `yields`: to somebody who needs all there is.

    `spent` is what the share is of, so far: while it waits for a core it takes nobody's.
    """
    due = clock()
    while True:
        if not yields() and clock() >= due:
            pause = _pause_after(turn, rhythm, spent)
            due = clock() + pause
        sleep(_LOOK_SECONDS)


def _pause_after(turn: Callable[[], int], rhythm: Rhythm, spent: Callable[[], float]) -> float:
    before = spent()
    try:
        done = turn()
    except (LogAway, AnotherName) as error:
        _log.warning("not now: %s", error)
        return rhythm.retry_seconds
    return rhythm.pause(spent() - before, done)
