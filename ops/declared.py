"""What the release says should serve, and what is to be done about it. Pure.

Each promotion is told to the release, with the number of its split; so a release that says
something else, with a number that is known, was changed by a person: `helm rollback`, a commit
that was taken back, or a value that was set by hand.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from feedback.events import BASE, Event, Id, first_complaint
from serving.split import Split

_MOST_LETTERS = 400  # of a description: `helm history` shows it in one line
Outcome = Literal["seen", "obeyed", "refused"]


class CannotTell(Exception):
    """The release could not be told; the message says what stands in the way."""


class Declared(BaseModel):
    """`split`: the one that `stable` was told with, 0 for none. `revision` is Helm's, of the day on
    which this was said: a roll-back says again what an older one did.
    """

    model_config = ConfigDict(frozen=True)

    revision: Annotated[int, Field(ge=1)]
    stable: Id
    split: NonNegativeInt = 0

    @classmethod
    def read(cls, data: Mapping[str, str]) -> Self:
        """Of the ConfigMap; raises ValueError."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise ValueError(f"the release says {dict(data)}: {first_complaint(error)}") from error


class Release(Event):
    """A release that was met, and what came of it."""

    kind: Literal["release"] = "release"
    outcome: Outcome
    revision: Annotated[int, Field(ge=1)]
    stable: Id
    split: NonNegativeInt
    reason: Annotated[str, Field(min_length=1)]

    @property
    def declared(self) -> Declared:
        return Declared(revision=self.revision, stable=self.stable, split=self.split)


class Due(Enum):
    NOTHING = "nothing"
    SEE = "it says nothing new"
    OBEY = "a person asks for another stable"
    TELL = "what serves is not what it says"


def due(declared: Declared, met: Sequence[Release], splits: Sequence[Split]) -> Due:
    """`met`: every release that was met so far; `splits`: every one that was in force."""
    last, stable = (met[-1].declared if met else None), splits[-1].stable
    if declared == last:
        return Due.NOTHING if declared.stable == stable else Due.TELL
    if declared.stable == stable:
        return Due.SEE
    if _is_ours(declared, met, splits):
        return Due.SEE  # ops died before it could note it, or it was committed late
    if last and declared.stable == last.stable:
        return Due.SEE  # something else was changed, or came back, before a promotion was told
    if _installed(declared, last) and declared.stable == BASE:
        return Due.SEE  # who installs it anew, beside what was kept, takes nothing back
    return Due.OBEY


def _is_ours(declared: Declared, met: Sequence[Release], splits: Sequence[Split]) -> bool:
    """Told by ops, of a split that came after all that were told before."""
    newest = max((one.split for one in met), default=0)
    made = {(one.revision, one.stable) for one in splits if one.revision > newest}
    return (declared.split, declared.stable) in made


def _installed(declared: Declared, last: Declared | None) -> bool:
    return declared.split == 0 and (last is None or declared.revision < last.revision)


def shortened(why: str) -> str:
    """One line, of what can be printed."""
    words = " ".join("".join(one if one.isprintable() else " " for one in why).split())
    return words if len(words) <= _MOST_LETTERS else f"{words[: _MOST_LETTERS - 1]}…"
