"""The body of POST /v1/feedback, and what to tell an app whose body is not so. Pure."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from feedback.events import Id, User
from serving.ask import short
from serving.errors import BadVerdict

KINDS = ("thumb", "correction", "outcome", "comparison", "retract")
_EXPECTED = {
    "completion_id": "the id of an answer, 1 to 200 characters",
    "thumb": '"up" or "down"',
    "comment": "a string of at most 4000 characters",
    "correction": "the text that the answer should have been",
    "outcome": "an object with a name and a value",
    "outcome.name": "a string of at most 200 characters",
    "outcome.value": "a number",
    "comparison": "an object with other_id and winner",
    "comparison.other_id": "the id of another answer to the same request",
    "comparison.winner": '"a", "b", "tie" or "both_bad"',
    "retract": '"thumb", "comparison", "correction" or "outcome:NAME"',
    "user": "a string of 1 to 200 characters",
    "key": "a string of 1 to 200 characters",
}


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Measured(_Strict):
    name: Id
    value: float


class Compared(_Strict):
    other_id: Id
    winner: Literal["a", "b", "tie", "both_bad"]


class Form(_Strict):
    """Exactly one of `KINDS` is there, and a comment only with a thumb."""

    completion_id: Id
    thumb: Literal["up", "down"] | None = None
    comment: Annotated[str, Field(max_length=4000)] | None = None
    correction: Annotated[str, Field(min_length=1, max_length=200_000)] | None = None
    outcome: Measured | None = None
    comparison: Compared | None = None
    retract: Annotated[str, Field(pattern=r"^(thumb|comparison|correction|outcome:.+)$")] | None = (
        None
    )
    user: User | None = None
    key: Id | None = None


def read_form(body: dict[str, Any]) -> Form:
    with explained():
        form = Form.model_validate(body)
    said = [kind for kind in KINDS if getattr(form, kind) is not None]
    if len(said) != 1:
        raise BadVerdict(
            f"the verdict has {' and '.join(said) or 'none'} of {', '.join(KINDS)}; "
            "expected exactly one"
        )
    if form.comment is not None and form.thumb is None:
        raise BadVerdict(f"comment is {short(form.comment)}; expected only with a thumb", "comment")
    return form


@contextmanager
def explained() -> Iterator[None]:
    """What is wrong with a field, said to the app that sent it."""
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BadVerdict(_complaint(field, first["type"], first), field or None) from error


def _complaint(field: str, kind: str, first: Any) -> str:
    if kind == "extra_forbidden":
        known = ", ".join(name for name in _EXPECTED if "." not in name)
        return f"{field} is not a field of a verdict; expected {known}"
    expected = _EXPECTED.get(field)
    if kind == "missing":
        return f"{field} is missing; expected {expected}"
    if expected is None:  # said by a rule that looks at several fields
        return str(first["msg"]).removeprefix("Value error, ")
    return f"{field} is {short(first['input'])}; expected {expected}"
