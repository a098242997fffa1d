"""Work of one process that takes longer than the others would wait for it."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

from trainer.ranks import Ranks

T = TypeVar("T")
_TURN_SECONDS = 60.0  # less than one process waits for another


def in_turns(work: Callable[[], T], ranks: Ranks, *, turn_seconds: float = _TURN_SECONDS) -> T:
    """What the first makes of it, however long; the others hear of it in turns."""
    done: Future[T] = Future()
    if ranks.first:
        # A daemon: a round that is told to end waits for nothing.
        Thread(target=_settle, args=(done, work), daemon=True).start()
    while (found := ranks.from_first(lambda: _within(done, turn_seconds))) is None:
        pass
    return found[0]


def _settle(done: "Future[T]", work: Callable[[], T]) -> None:
    try:
        done.set_result(work())
    except BaseException as error:  # whatever it is, whoever waits is to know
        done.set_exception(error)


def _within(done: "Future[T]", seconds: float) -> tuple[T] | None:
    try:
        return (done.result(seconds),)
    except TimeoutError:  # the work's own, or that of this turn
        return (done.result(),) if done.done() else None
