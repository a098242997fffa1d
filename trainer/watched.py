"""How a round is watched: two plain functions that it tells things. Pure."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

Tell = Callable[[str, int, int], None]  # what is being done, how far, of how much
Note = Callable[[Mapping[str, float]], None]  # what was measured just now: points of the curves

# The curves a person looks at while a round goes on, as they are called there.
SHOWN = {"loss": "loss", "kl_parent": "KL to the parent", "held_out_accuracy": "held-out accuracy"}


def unheard(values: Mapping[str, float]) -> None:
    """For who does not care."""


def untold(step: str, done: int, of: int) -> None:
    """The same."""


class Watch(NamedTuple):
    tell: Tell
    note: Note = unheard


UNWATCHED = Watch(untold)


def tell_all(*tells: Tell) -> Tell:
    def tell(step: str, done: int, of: int) -> None:
        for one in tells:
            one(step, done, of)

    return tell


def note_all(*notes: Note) -> Note:
    def note(values: Mapping[str, float]) -> None:
        for one in notes:
            one(values)

    return note
