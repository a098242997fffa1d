import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

from trainer.endings import RoundFailed
from trainer.ranks import Ranks
from trainer.turns import in_turns

T = TypeVar("T")


class Told(Ranks):
    """The first of two, whose word goes nowhere."""

    def __init__(self) -> None:
        super().__init__(0, 2)
        self.words: list[object] = []

    def from_first(self, make: Callable[[], T]) -> T:
        made = make()
        self.words.append(made)
        return made


def test_processes_that_wait_for_the_first_are_told_in_turns_that_it_still_works() -> None:
    ranks, work = Told(), threading.Event()
    threading.Timer(0.5, work.set).start()
    assert in_turns(lambda: work.wait(10) and "drawn", ranks, turn_seconds=0.1) == "drawn"
    assert ranks.words[:3] == [None, None, None]
    assert ranks.words[-1] == ("drawn",)


def test_what_fails_in_the_first_fails_in_all() -> None:
    def fails() -> None:
        raise RoundFailed("no engine")

    with pytest.raises(RoundFailed, match="no engine"):
        in_turns(fails, Told(), turn_seconds=0.1)
