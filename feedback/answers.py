"""Completions written, and read as far as examples keep them, in half the event's own time.
Door. Pure.

What is usual is read here, and strictly; all else is left to `decode`, which reads it or says what
is wrong. Both read a record to the same values, but for parts of a microsecond.
"""

from array import array
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from struct import pack
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta, MsgspecError, Struct
from msgspec.json import Decoder
from pydantic_core import to_json

from feedback.events import Completion, decode, encode


class Answer(NamedTuple):
    """The first columns of an example. Numbers lie in one piece, as the examples' file wants."""

    id: str
    conversation: str | None
    user: str
    app: str | None
    adapter: str
    parent: str | None
    split_revision: int | None
    messages: str  # JSON
    answer: str
    prompt_ids: Sequence[int]
    answer_ids: Sequence[int]
    logprobs: Sequence[float]
    parameters: str  # JSON
    finish_reason: str | None
    at: datetime


Id = Annotated[str, Meta(min_length=1, max_length=200)]
_Tokens = list[Annotated[int, Meta(ge=0, lt=2**31)]]  # a tuple takes a third longer
_Seconds = Annotated[float, Meta(ge=0)]


class _Usual(Struct, forbid_unknown_fields=True, gc=False):
    """A completion, field by field as in the events."""

    kind: Literal["completion"]
    v: Literal[1]
    at: Annotated[datetime, Meta(tz=True)]
    id: Id
    user: Id
    adapter: Id
    messages: tuple[dict[str, Any], ...]
    answer: Annotated[str, Meta(max_length=200_000)]
    prompt_ids: _Tokens
    answer_ids: _Tokens
    logprobs: list[float]
    parameters: dict[str, Any]
    finish_reason: str | None
    total_seconds: _Seconds
    prompt_tokens: Annotated[int, Meta(ge=0)] | None = None
    answer_tokens: Annotated[int, Meta(ge=0)] | None = None
    conversation: Id | None = None
    app: Id | None = None
    parent: Id | None = None
    split_revision: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    first_token_seconds: _Seconds | None = None
    error: str | None = None


_USUAL = Decoder(_Usual)
# Both readers stop at some depth, but not at the same.
_BRACKETS = 150
_MOST_DEEP = 50


def read_answer(raw: bytes) -> Answer:
    """Of a completion as it lies on the log; BadEvent where it is none."""
    return usual_answer(raw) or answer_of(decode(raw, (Completion,)))


def usual_answer(raw: bytes) -> Answer | None:
    try:
        found = _usual(raw)
        if found is None:
            return None
        answer = answer_of(found)
    except (ValueError, OverflowError, RecursionError):
        return None
    told = answer.messages + answer.parameters
    return answer if told.count("[") + told.count("{") <= _BRACKETS else None


def written(completion: Mapping[str, Any]) -> bytes:
    """As `encode` of an event with these fields; ValidationError where there is no such event."""
    told = completion.get("messages"), completion.get("parameters")
    try:
        raw = to_json({"kind": "completion", "v": 1, **completion})
        usual = _usual(raw)
        if usual and usual.at.astimezone(UTC) and _is_flat(told, _MOST_DEEP):
            return raw
    except (ValueError, OverflowError, RecursionError):  # the event says what is wrong
        pass
    return encode(Completion(**completion))


def _usual(raw: bytes) -> _Usual | None:
    try:
        found = _USUAL.decode(raw)
    except MsgspecError:
        return None
    return found if len(found.logprobs) == len(found.answer_ids) else None


def _is_flat(value: object, most: int) -> bool:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return True
    return most > 0 and all([_is_flat(one, most - 1) for one in value])


def answer_of(completion: Completion | _Usual) -> Answer:
    return Answer(
        completion.id,
        completion.conversation,
        completion.user,
        completion.app,
        completion.adapter,
        completion.parent,
        completion.split_revision,
        to_json(completion.messages).decode(),
        completion.answer,
        _flat("i", completion.prompt_ids),
        _flat("i", completion.answer_ids),
        _flat("d", completion.logprobs),
        to_json(completion.parameters).decode(),
        completion.finish_reason,
        completion.at.astimezone(UTC),
    )


def _flat(code: str, numbers: Sequence[float]) -> "array[Any]":
    return array(code, pack(f"{len(numbers)}{code}", *numbers))  # an array alone takes longer
