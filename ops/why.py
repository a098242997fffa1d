"""Where things stand, and the story of one adapter: why it was promoted, or withdrawn, with the
numbers as they were.
"""

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from feedback.log import Log
from ops import history
from ops.by_hand import NothingToDo, current
from ops.move import Look, Move
from ops.trial import Fates
from trainer.adapters import GateResult, Manifest, published

_LOOKS = 100  # the newest


class Story(BaseModel):
    """Of one adapter, from its round to its end."""

    adapter: str
    state: str
    parent: str
    method: str
    gates: tuple[GateResult, ...]
    moves: list[Move]
    looks: list[Look]  # the newest of its trial, as far back as the log still has them

    @property
    def numbers(self) -> dict[str, float]:
        """Of the last that was decided on it."""
        return next((look.seen for look in reversed(self.looks) if look.seen), {})


class Unknown(NothingToDo):
    """No adapter has that name."""


def state(log: Log, adapters: Path) -> dict[str, Any]:
    split = current(log)
    fates = Fates(history.splits(log), history.moves(log))
    told = {one.name: fates.of(one) for one in published(adapters)}
    return {"split": split.model_dump(mode="json"), "adapters": told}


def story(log: Log, adapters: Path, name: str) -> Story:
    manifest = _named(adapters, name)
    current(log)  # says so where there is nothing yet
    moves = history.moves(log)
    return Story(
        adapter=name,
        state=Fates(history.splits(log), moves).of(manifest),
        parent=manifest.parent,
        method=str(manifest.plan.get("method", "an unknown method")),
        gates=manifest.gates,
        moves=[move for move in moves if move.adapter == name],
        looks=history.looks(log, name, _LOOKS),
    )


def _named(adapters: Path, name: str) -> Manifest:
    every = {one.name: one for one in published(adapters)}
    if name not in every:
        known = ", ".join([*every][-5:]) or "none yet"
        raise Unknown(f"no adapter is named {name!r}; published are {known}")
    return every[name]
