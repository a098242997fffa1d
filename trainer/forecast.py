"""About how long a round still takes, by what its steps took so far, and in the last round. Pure.

`epoch 2 of 5` is one of five alike: what one of them took, the others will.
"""

import re
from collections.abc import Mapping
from statistics import fmean
from typing import NamedTuple

_ALIKE = re.compile(r"(.+) (\d+) of (\d+)")


class Step(NamedTuple):
    name: str
    done: int
    of: int
    began: float

    @property
    def alike(self) -> tuple[str, int, int]:
        """Its kind, which of them it is, and how many there are."""
        found = _ALIKE.fullmatch(self.name)
        return (found[1], int(found[2]), int(found[3])) if found else (self.name, 1, 1)


class Left(NamedTuple):
    seconds: float
    whole: bool  # False: steps may come that nobody has seen yet, and it takes longer

    def __str__(self) -> str:
        return f"{'about' if self.whole else 'more than'} {span(self.seconds)} left"


def span(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


class Forecast:
    def __init__(self, before: Mapping[str, float] | None = None) -> None:
        """`before`: seconds by kind of step in the last whole round, if there was one."""
        self._before = before or {}
        self._took: dict[str, list[float]] = {}
        self._last: dict[str, Step] = {}  # of each kind
        self.step: Step | None = None

    def told(self, name: str, done: int, of: int, now: float) -> None:
        began = self.step.began if self.step and self.step.name == name else now
        self.step = Step(name, done, of, began)
        self._last[self.step.alike[0]] = self.step
        if done == of:
            self._took.setdefault(self.step.alike[0], []).append(now - began)

    @property
    def took(self) -> dict[str, float]:
        """Seconds by kind of step so far."""
        return {kind: sum(seconds) for kind, seconds in self._took.items()}

    def left(self, now: float) -> Left:
        kinds = dict.fromkeys((*self._before, *self._last))
        return Left(sum(self._left(kind, now) for kind in kinds), whole=bool(self._before))

    def _left(self, kind: str, now: float) -> float:
        if kind not in self._last:
            return self._before[kind]
        step = self._last[kind]
        _, nth, count = step.alike
        one = self._one(kind, step, now)
        rest = 0.0 if step.done == step.of else max(one - (now - step.began), 0.0)
        return rest + (count - nth) * one

    def _one(self, kind: str, step: Step, now: float) -> float:
        if 0 < step.done < step.of:
            return (now - step.began) * step.of / step.done
        if took := self._took.get(kind):  # empty for a moment, where another thread tells
            return fmean(took)
        return self._before.get(kind, 0.0) / step.alike[2]
