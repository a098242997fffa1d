"""Words of the log as JSON, and back. Pure. Knows no word of them.

Decoding is strict: what is not understood is refused with a message that names the field, so that a
reader can go on.
"""

import json
from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, TypeVar, Union

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, to_json

M = TypeVar("M", bound=BaseModel)


class BadEvent(ValueError):
    """A record that cannot be read; the message names the field and what was expected."""


def encode(event: BaseModel) -> bytes:
    return to_json(event)


def decode(raw: bytes, kinds: Iterable[type[M]]) -> M:
    """The event in `raw`, which must be of one of these kinds."""
    known = tuple(kinds)
    try:
        event: M = _reader(known).validate_json(raw)
    except ValidationError as error:
        raise BadEvent(_complaint(raw, known)) from error
    if not event.model_fields_set >= {"kind", "v"}:  # they have defaults, for who makes one
        raise BadEvent(_complaint(raw, known))
    return event


@cache
def _reader(kinds: tuple[type[BaseModel], ...]) -> TypeAdapter[Any]:
    # A tuple cannot be written as X | Y.
    several: Any = Annotated[Union[kinds], Field(discriminator="kind")]  # noqa: UP007
    return TypeAdapter(several if len(kinds) > 1 else kinds[0])


def _complaint(raw: bytes, kinds: tuple[type[BaseModel], ...]) -> str:
    """What it is comes first: of another kind or version all fields may seem wrong."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    if not isinstance(found, dict):
        return f"a JSON {type(found).__name__}; expected an object"
    name, v = found.get("kind"), found.get("v")
    named = {kind.model_fields["kind"].default: kind for kind in kinds}
    if not isinstance(name, str) or name not in named:
        return f"kind is {name!r}; expected one of {', '.join(named)}"
    if not is_v1(v):
        return f"v is {v!r}; this version reads v 1"
    try:
        named[name].model_validate_json(raw)
    except ValidationError as error:
        return f"{name}: {first_complaint(error)}"
    raise AssertionError(f"{name} reads well alone")


def is_v1(v: object) -> bool:
    return type(v) is int and v == 1  # for Python, True and 1.0 are 1 too


def first_complaint(error: ValidationError) -> str:
    """`field: what was wrong (got value)`, of the first field that is wrong."""
    return complaint(error.errors(include_url=False)[0])


def complaint(one: ErrorDetails) -> str:
    field = ".".join(str(part) for part in one["loc"])
    got = repr(one["input"])
    short = got if len(got) <= 80 else got[:77] + "..."
    said = one["msg"].removeprefix("Value error, ")
    return f"{field}: {said} (got {short})" if field else said
