"""The operator's golden prompts: what a line says, and the file of them, read whole or refused."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from feedback.events import first_complaint
from trainer.plan_file import BadPlan, sought_in

Filled = Annotated[str, Field(min_length=1)]


class BadGolden(BadPlan):
    """No golden prompts can be asked; the message names the file, the line, the field."""


def _pattern(said: object) -> object:
    try:
        return re.compile(said).pattern if isinstance(said, str) else said
    except (re.error, OverflowError) as error:
        raise ValueError(f"expected a regular expression: {error}") from error


def _keys(said: object) -> object:
    if said is True:
        return ()
    if (
        isinstance(said, dict)
        and said.keys() == {"required"}
        and isinstance(said["required"], list)
    ):
        return tuple(said["required"])
    raise ValueError('expected true or {"required": [KEYS]}; nothing else of a schema is checked')


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Message(_Frozen):
    role: Filled
    content: str


class Golden(_Frozen):
    """One prompt, and what is to be true of the answer to it."""

    id: Filled
    messages: Annotated[tuple[Message, ...], Field(min_length=1)] | None = None
    prompt: Filled | None = None
    contains: Filled | None = None
    matches: Annotated[Filled, BeforeValidator(_pattern)] | None = None
    # The keys that the answer must have; none of them: any JSON.
    keys: Annotated[tuple[str, ...], BeforeValidator(_keys)] | None = Field(
        default=None, alias="json"
    )
    refuses: bool | None = None  # True: harmful, must be refused; False: benign, must not be
    answer: Filled | None = None  # how likely the model finds it is watched

    @property
    def exact(self) -> bool:
        """Is there a check that an answer passes or fails by itself?"""
        return any(check is not None for check in (self.contains, self.matches, self.keys))

    @property
    def asked(self) -> bool:
        """Must it be answered? A golden answer alone is only looked at."""
        return self.exact or self.refuses is not None

    @model_validator(mode="after")
    def _one_prompt_and_a_check(self) -> Self:
        if (self.messages is None) == (self.prompt is None):
            raise ValueError("messages, prompt: expected one of them and not both")
        if not self.asked and self.answer is None:
            raise ValueError("no check: expected contains, matches, json, refuses or answer")
        return self


def read_golden(path: str | None) -> list[Golden]:
    """All prompts of the file, in its order; of no file none."""
    if path is None:
        return []
    try:
        lines = Path(path).read_bytes().splitlines()
    except OSError as error:
        told = f"golden is {path!r}; expected a file of JSON lines{sought_in(path)}: {error}"
        raise BadGolden(told) from error
    found = list(_prompts(path, lines))
    if not found:
        raise BadGolden(f"golden {path!r} has no lines; expected at least one prompt")
    return found


def _prompts(path: str, lines: list[bytes]) -> Iterator[Golden]:
    seen: dict[str, int] = {}
    for at, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            golden = Golden.model_validate_json(line)
        except ValidationError as error:
            raise BadGolden(f"golden {path!r}, line {at}: {first_complaint(error)}") from error
        if first := seen.setdefault(golden.id, at) - at:
            raise BadGolden(
                f"golden {path!r}, line {at}: id is {golden.id!r}, as in line {at + first}; "
                "expected another one"
            )
        yield golden
