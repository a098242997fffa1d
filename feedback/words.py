"""What settling needs of a verdict. Thumbs are read in a third of the time of the event. Pure.

As with answers: what is usual is read here, and all else is left to `decode`.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta, MsgspecError, Struct
from msgspec.json import Decoder

from feedback.answers import Id
from feedback.events import (
    VERDICT_KINDS,
    Comparison,
    Correction,
    Outcome,
    Ruling,
    Thumb,
    Verdict,
    decode,
)


class Word(NamedTuple):
    """A verdict of whatever kind; what its kind does not say is None."""

    kind: str
    completion_id: str
    key: str
    user: str | None
    at: datetime
    slot: str
    up: bool | None = None
    correction: str | None = None
    value: float | None = None
    other_id: str | None = None
    winner: str | None = None

    @property
    def retracted(self) -> bool:
        return self.kind == "retraction"


class _Usual(Struct, forbid_unknown_fields=True, gc=False):
    """A thumb, field by field as in the events."""

    kind: Literal["thumb"]
    v: Literal[1]
    at: Annotated[datetime, Meta(tz=True)]
    key: Id
    completion_id: Id
    up: bool
    user: Id | None = None
    comment: Annotated[str, Meta(max_length=4000)] | None = None


_USUAL = Decoder(_Usual)


def read_word(raw: bytes) -> Word | Ruling:
    """Of what lies on the topic of verdicts; BadEvent where it is none."""
    if usual := usual_word(raw):
        return usual
    event = decode(raw, VERDICT_KINDS)
    assert isinstance(event, Verdict | Ruling)  # there are no others
    return word_of(event)


def usual_word(raw: bytes) -> Word | None:
    try:
        found = _USUAL.decode(raw)
        at = found.at.astimezone(UTC)
    except (MsgspecError, UnicodeError, OverflowError):
        return None
    return Word("thumb", found.completion_id, found.key, found.user, at, "thumb", found.up)


def word_of(said: Verdict | Ruling) -> Word | Ruling:
    if isinstance(said, Ruling):
        return said
    return Word(
        kind=said.kind,
        completion_id=said.completion_id,
        key=said.key,
        user=said.user,
        at=said.at.astimezone(UTC),
        slot=said.slot,
        up=said.up if isinstance(said, Thumb) else None,
        correction=said.text if isinstance(said, Correction) else None,
        value=said.value if isinstance(said, Outcome) else None,
        other_id=said.other_id if isinstance(said, Comparison) else None,
        winner=said.winner if isinstance(said, Comparison) else None,
    )
