"""The mark beside an adapter that was taken out of use: who did it, when and why. Pure."""

from datetime import UTC
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from feedback.events import SchemaV1, first_complaint


class Withdrawal(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    v: SchemaV1 = 1
    at: AwareDatetime
    reason: Annotated[str, Field(min_length=1)]
    by: Annotated[str, Field(min_length=1)]

    def __str__(self) -> str:
        return f"{self.reason} ({self.by}, {self.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC)"


def mark_of(adapter: str) -> str:
    """The name of the file, beside the adapter's folder: the adapter itself never changes."""
    return f"{adapter}.withdrawn.json"


def read_mark(raw: bytes) -> str:
    """Why it was withdrawn. A mark that cannot be read withdraws it as well."""
    try:
        return str(Withdrawal.model_validate_json(raw))
    except ValidationError as error:
        return f"its mark cannot be read: {first_complaint(error)}"
