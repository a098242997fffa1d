"""What a home's loop was started with, as `thumbwheel up` last kept it there."""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from feedback.events import first_complaint

FILE = "up.json"


class Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str
    name: str
    plan: Path | None = None


def keep(home: Path, kept: Kept) -> None:
    draft = home / f"{FILE}.tmp"
    draft.write_text(kept.model_dump_json(indent=2))
    os.replace(draft, home / FILE)


def read_kept(home: Path) -> Kept | None:
    path = home / FILE
    try:
        return Kept.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ValueError(f"{path}: {first_complaint(error)}") from error
