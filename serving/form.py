"""The bodies of POST /v1/feedback and /v1/comparisons, and what to tell whose body is not so.

Pure.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from feedback.events import GROUP_END, Id, User, group_of
from serving.apis import short
from serving.errors import BadVerdict

KINDS = ("thumb", "correction", "outcome", "comparison", "retract")
WHOSE = "the id of an answer, 1 to 200 characters, or a token"
_EXPECTED = {
    "token": "the feedback token that came with an answer",
    "completion_id": WHOSE,
    "thumb": '"up" or "down"',
    "comment": "a string of at most 4000 characters",
    "correction": "the text that the answer should have been",
    "outcome": "an object with a name and a value",
    "outcome.name": "a string of at most 200 characters",
    "outcome.value": "a number",
    "comparison": "an object with other_id and winner",
    "comparison.other_id": "the id of another answer to the same request",
    "comparison.winner": '"a", "b", "tie" or "both_bad"',
    "other_id": "the id of another answer to the same request",
    "winner": '"a", "b", "tie" or "both_bad"',
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


class About(_Strict):
    """Of which answer, and whose word it is. A token says both."""

    token: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    completion_id: Id | None = None
    user: User | None = None
    key: Id | None = None


class Form(About):
    """Exactly one of `KINDS` is there, and a comment only with a thumb."""

    thumb: Literal["up", "down"] | None = None
    comment: Annotated[str, Field(max_length=4000)] | None = None
    correction: Annotated[str, Field(min_length=1, max_length=200_000)] | None = None
    outcome: Measured | None = None
    comparison: Compared | None = None
    retract: Annotated[str, Field(pattern=r"^(thumb|comparison|correction|outcome:.+)$")] | None = (
        None
    )


class ComparisonForm(About):
    """a is the answer that was told first, b the other."""

    other_id: Id | None = None
    winner: Literal["a", "b", "tie", "both_bad"]


def read_comparison(body: dict[str, Any]) -> ComparisonForm:
    with explained(ComparisonForm):
        return ComparisonForm.model_validate(body)


def as_form(said: ComparisonForm, completion_id: str) -> Form:
    """Of two answers that were asked for side by side, b is the one with `.1` behind its id."""
    other_id = said.other_id or f"{group_of(completion_id)}{GROUP_END}1"
    compared = Compared(other_id=other_id, winner=said.winner)
    return Form(completion_id=completion_id, comparison=compared, user=said.user, key=said.key)


def read_form(body: dict[str, Any]) -> Form:
    with explained(Form):
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
def explained(form: type[BaseModel]) -> Iterator[None]:
    """What is wrong with a field, said to the app that sent it."""
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BadVerdict(_complaint(form, field, first), field or None) from error


def _complaint(form: type[BaseModel], field: str, first: Any) -> str:
    kind = first["type"]
    if kind == "extra_forbidden":
        known = ", ".join(form.model_fields)
        return f"{field} is not a field of a verdict; expected {known}"
    expected = _EXPECTED.get(field)
    if kind == "missing":
        return f"{field} is missing; expected {expected}"
    if expected is None:  # said by a rule that looks at several fields
        return str(first["msg"]).removeprefix("Value error, ")
    return f"{field} is {short(first['input'])}; expected {expected}"
