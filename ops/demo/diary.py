"""The verdicts that were answered 202, on disk: each of them must be found again."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Accepted:
    completion_id: str
    up: bool


def note(diary: Path, verdict: Accepted) -> None:
    with diary.open("a") as file:
        file.write(json.dumps(asdict(verdict)) + "\n")


def read_diary(diary: Path) -> list[Accepted]:
    if not diary.exists():
        return []
    return [Accepted(**json.loads(line)) for line in diary.read_text().splitlines()]
