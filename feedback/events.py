"""What was served and what users said of it, as it lies on the log. Door. Pure.

    Event
    ├── Completion       one answer served
    ├── Verdict          what a user said of it
    │   └── Thumb  Comparison  Correction  Outcome  Retraction
    ├── Ruling           how much a verdict counts, as the guard or an operator decided
    ├── Forget           a user who is to be left out of all later rounds
    ├── Score            what the trainer thinks of an answer that was served
    └── DeadLetter       a record that nobody could read, and why

Every record carries its `kind` and its schema version `v`; codec.py reads and writes them.
"""

from datetime import UTC, datetime
from math import isfinite
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    field_validator,
    model_validator,
)

from feedback.codec import BadEvent as BadEvent
from feedback.codec import complaint as complaint
from feedback.codec import decode as decode
from feedback.codec import encode as encode
from feedback.codec import first_complaint as first_complaint
from feedback.codec import is_v1

Id = Annotated[str, Field(min_length=1, max_length=200)]
User = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=200_000)]
Slot = Annotated[str, Field(pattern=r"^(thumb|comparison|correction|outcome:.+)$", max_length=210)]
Revision = Annotated[int, Field(ge=0, lt=2**63)]  # and this as int64


def _only_v1(v: object) -> object:
    if not is_v1(v):
        raise ValueError("this version reads v 1")
    return v


def _within_utc(at: datetime) -> datetime:
    """The examples keep UTC, and at the ends of the calendar a time zone leads out of it."""
    try:
        at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("expected a time within the years 1 to 9999 in UTC") from error
    return at


def _are_tokens(ids: tuple[int, ...]) -> tuple[int, ...]:
    """All at once: one by one takes longer than the rest of a record."""
    if ids and (min(ids) < 0 or max(ids) >= 2**31):  # the examples keep them as int32
        wrong = next(at for at, token in enumerate(ids) if not 0 <= token < 2**31)
        raise ValueError(f"token {wrong} is out of range; expected 0 to 2147483647")
    return ids


def _is_finite(value: object) -> bool:
    """Of whatever JSON may hold. Quicker than to write it."""
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return not isinstance(value, list | tuple) or all(map(_is_finite, value))


SchemaV1 = Annotated[Literal[1], BeforeValidator(_only_v1)]
Tokens = Annotated[tuple[int, ...], AfterValidator(_are_tokens)]
Instant = Annotated[AwareDatetime, AfterValidator(_within_utc)]

# A completion's group is its id up to the dot: `chatcmpl-7f.1` is the second answer to the
# request `chatcmpl-7f`.
GROUP_END = "."
BASE = "base"  # the adapter's name where no adapter is on
NOT_LOADED = "not loaded"  # begins the error of a completion whose adapter no engine could load
GUARD = "guard"  # who rules where no person does


class Event(BaseModel):
    """A frozen word of the log."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    kind: str
    v: SchemaV1 = 1
    at: Instant


class Completion(Event):
    """One answer served: prompt, answer, and how it was sampled."""

    kind: Literal["completion"] = "completion"
    id: Id
    conversation: Id | None = None
    user: User
    app: Id | None = None
    adapter: Id
    parent: Id | None = None  # the adapter that it continues; None for base, or not known
    split_revision: Revision | None = None  # None: the caller named the adapter
    messages: tuple[dict[str, JsonValue], ...]
    answer: Text
    prompt_ids: Tokens
    answer_ids: Tokens
    logprobs: tuple[float, ...]  # of answer_ids under `adapter`, before temperature and top_p
    parameters: dict[str, JsonValue]
    finish_reason: str | None
    # How long they were, also where the ids are left out; None in records of old.
    prompt_tokens: Annotated[int, Field(ge=0)] | None = None
    answer_tokens: Annotated[int, Field(ge=0)] | None = None
    first_token_seconds: Annotated[float, Field(ge=0)] | None = None
    total_seconds: Annotated[float, Field(ge=0)]
    error: str | None = None

    @field_validator("messages", "parameters")
    @classmethod
    def _finite(cls, value: Any) -> Any:
        if not _is_finite(value):
            raise ValueError("Out of range float values are not JSON compliant")
        return value

    @model_validator(mode="after")
    def _one_logprob_per_token(self) -> Self:
        if len(self.logprobs) != len(self.answer_ids):
            raise ValueError(
                f"logprobs has {len(self.logprobs)} entries; expected one per answer id, "
                f"{len(self.answer_ids)}"
            )
        return self


class Verdict(Event):
    """What a user said of a completion. May arrive before it, late, or twice."""

    key: Id  # the idempotency key: of several verdicts with one key, the earliest counts
    completion_id: Id
    user: User | None = None  # None: whoever asked for the completion

    @property
    def slot(self) -> str:
        """What the verdict speaks of: a later one in the same slot replaces the earlier."""
        return self.kind


class Thumb(Verdict):
    kind: Literal["thumb"] = "thumb"
    up: bool
    comment: Annotated[str, Field(max_length=4000)] | None = None


class Comparison(Verdict):
    """`completion_id` (A) against `other_id` (B), two answers to one request."""

    kind: Literal["comparison"] = "comparison"
    other_id: Id
    winner: Literal["a", "b", "tie", "both_bad"]

    @model_validator(mode="after")
    def _two_of_one_group(self) -> Self:
        if group_of(self.completion_id) != group_of(self.other_id):
            raise ValueError(
                f"other_id {self.other_id!r} is of another request than {self.completion_id!r}"
            )
        if self.completion_id == self.other_id:
            raise ValueError(f"other_id is {self.other_id!r}, the same as completion_id")
        return self


class Correction(Verdict):
    """The answer that the user wrote in the model's place."""

    kind: Literal["correction"] = "correction"
    text: Annotated[str, Field(min_length=1, max_length=200_000)]


class Outcome(Verdict):
    """A number the app measured later, such as resolved=1."""

    kind: Literal["outcome"] = "outcome"
    name: Id
    value: float

    @property
    def slot(self) -> str:
        return outcome_slot(self.name)


class Retraction(Verdict):
    """Takes back what the same user said before in the slot `of`."""

    kind: Literal["retraction"] = "retraction"
    of: Slot

    @property
    def slot(self) -> str:
        return self.of


class Ruling(Event):
    """How much counts what `rater` said in `slot`: an operator's word outranks the guard's."""

    kind: Literal["ruling"] = "ruling"
    completion_id: Id
    slot: Slot
    rater: User
    weight: Annotated[float, Field(ge=0, le=1)]  # 0 is quarantined
    reason: Annotated[str, Field(min_length=1, max_length=4000)]
    by: Id  # GUARD, or who it was


class Forget(Event):
    """`user` is a pseudonym. Whatever they asked and said, before and after, teaches nobody."""

    kind: Literal["forget"] = "forget"
    user: User
    by: Id


class Score(Event):
    """How probable an answer is to who gave it, to stable and to base: sums over its tokens."""

    kind: Literal["score"] = "score"
    completion_id: Id
    adapter: Id  # whose answer it is
    stable: Id  # under which it was scored
    tokens: Annotated[int, Field(ge=1)]
    served: float  # under `adapter`, as the engine logged it
    under_stable: float
    under_base: float
    faithful: bool  # drawn as the model is: at temperature 1, with nothing cut off or penalised


class DeadLetter(Event):
    """`raw` is the record as it was, in base64."""

    kind: Literal["dead_letter"] = "dead_letter"
    topic: str
    partition: int
    offset: int
    key: str
    reason: str
    raw: str


E = TypeVar("E", bound=Event)
# What lies on the topic of verdicts.
VERDICT_KINDS: tuple[type[Event], ...] = (
    Thumb,
    Comparison,
    Correction,
    Outcome,
    Retraction,
    Ruling,
)


def group_of(completion_id: str) -> str:
    """The request that a completion answers: the key of it and its verdicts on the log."""
    return completion_id.split(GROUP_END, 1)[0]


def outcome_slot(name: str) -> str:
    return f"outcome:{name}"
