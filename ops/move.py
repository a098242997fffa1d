"""Something that ops did to the split, and why, as it lies on the log. Pure."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt

from feedback.events import Event, Id

Action = Literal[
    "started", "stepped", "promoted", "withdrawn", "refused", "rolled_back", "paused", "resumed"
]

Decided = Literal["hold", "start", "step", "promote", "withdraw"]


class Move(Event):
    """Something that ops did, and why. `split_revision` is the split that came of it."""

    kind: Literal["move"] = "move"
    action: Action
    adapter: Id
    split_revision: Annotated[int, Field(ge=1)]
    reason: Annotated[str, Field(min_length=1)]
    by: Annotated[str, Field(min_length=1)]


class Look(Event):
    """What was decided at a tick, and on which numbers."""

    kind: Literal["look"] = "look"
    decision: Decided
    adapter: Id | None = None  # the canary, or who may become it
    split_revision: Annotated[int, Field(ge=1)]  # that was in force
    reason: Annotated[str, Field(min_length=1)]
    by: Annotated[str, Field(min_length=1)]
    seen: dict[str, float] = Field(default_factory=dict)
    # Of a start: how far the log went just before.
    since: dict[str, NonNegativeInt] = Field(default_factory=dict)
