"""The adapters folder: one folder per adapter, its manifest written last. Door. Knows no torch.

AdapterError
├── UnknownAdapter     no adapter of this name is published
├── CorruptAdapter     its files are not those its manifest names, or cannot be read
└── NameTaken          an adapter's name is never used twice
"""

import json
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from hashlib import file_digest
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
)
from pydantic.dataclasses import dataclass

from feedback.disk import sync
from feedback.events import Id, SchemaV1, User, first_complaint
from feedback.examples import Watermark

_log = logging.getLogger(__name__)
MANIFEST = "manifest.json"
LINEAGE = "lineage.jsonl"
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*-v[0-9]+$")


class AdapterError(Exception):
    """Something about an adapter's folder is not as it must be."""


class UnknownAdapter(AdapterError):
    pass


class CorruptAdapter(AdapterError):
    pass


class NameTaken(AdapterError):
    pass


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Estimate(_Frozen):
    """A number measured on `n` samples, with its standard error."""

    value: float
    stderr: Annotated[float, Field(ge=0)]
    n: Annotated[int, Field(ge=0)]


class GateResult(_Frozen):
    name: str
    passed: bool
    reason: str


class Manifest(_Frozen):
    """All that is known of an adapter on the day it was published."""

    v: SchemaV1 = 1
    name: Annotated[str, Field(pattern=_NAME.pattern)]
    parent: str  # the adapter it continues, or "base"
    base: str  # the model it is for, as vLLM serves it
    created_at: AwareDatetime
    plan: dict[str, JsonValue]
    watermark: Watermark  # how far in the log its training data reaches
    dataset_digest: str
    counts: dict[str, int]  # rows used, held out, replayed, and dropped by reason
    gates: tuple[GateResult, ...]
    kl: dict[Literal["parent", "base"], Estimate]
    curves: dict[str, tuple[float, ...]]
    scores: dict[str, float]
    libraries: dict[str, str]
    seconds: Annotated[float, Field(ge=0)]
    files: dict[str, str] = {}  # name to SHA-256, of every file but the manifest

    @property
    def passed(self) -> bool:
        """An adapter without gates has passed none."""
        return bool(self.gates) and all(gate.passed for gate in self.gates)

    @property
    def version(self) -> int:
        return version_of(self.name)


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class Lesson:
    """One completion that an adapter learned from, or was held out to test it."""

    completion_id: Id
    user: User
    use: Literal["train", "replay", "holdout"]


_LESSON = TypeAdapter(Lesson)


def version_of(name: str) -> int:
    return int(name.rpartition("-v")[2])


def claim(store: Path, series: str) -> Path:
    """A new folder, `SERIES-vN`, with a number above every other in the store, published or not."""
    store.mkdir(parents=True, exist_ok=True)
    taken = [version_of(path.name) for path in store.iterdir() if _NAME.fullmatch(path.name)]
    return claim_name(store, f"{series}-v{max(taken, default=0) + 1}")


def claim_name(store: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise AdapterError(f"adapter name is {name!r}; expected NAME-vNUMBER")
    folder = store / name
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise NameTaken(f"{name} is in {store} already; a name is never used twice") from error
    return folder


def publish(folder: Path, manifest: Manifest) -> Manifest:
    """Make the files in `folder` an adapter, seen whole or not at all."""
    if (folder / MANIFEST).exists():
        raise NameTaken(f"{manifest.name} is published already; an adapter never changes")
    whole = manifest.model_copy(update={"files": dict(_digests(folder))})
    for name in whole.files:
        sync(folder / name)  # what the manifest names is on the disk before the manifest is
    draft = folder / f"{MANIFEST}.tmp"
    with draft.open("w") as file:
        file.write(whole.model_dump_json(indent=2))
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, folder / MANIFEST)
    sync(folder)
    return whole


def verify(store: Path, name: str) -> Manifest:
    """The manifest of `name`, after its files were held against it."""
    manifest = load(store, name)
    found = dict(_digests(store / name))
    for file, expected in manifest.files.items():
        if found.get(file) != expected:
            raise CorruptAdapter(
                f"{name}/{file} has digest {found.get(file, 'none')[:12]}; "
                f"its manifest says {expected[:12]}"
            )
    return manifest


def load(store: Path, name: str) -> Manifest:
    path = store / name / MANIFEST
    if not _NAME.fullmatch(name) or not path.is_file():
        raise UnknownAdapter(f"{name!r} is not published in {store}")
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise CorruptAdapter(f"{path}: {first_complaint(error)}") from error
    if "v" not in manifest.model_fields_set:
        raise CorruptAdapter(f"{path}: v is missing; this version reads v 1")
    if manifest.name != name:
        raise CorruptAdapter(f"{path} is the manifest of {manifest.name}")
    return manifest


def published(store: Path) -> list[Manifest]:
    """Every readable adapter, oldest version first; without a manifest it is not published."""
    found = []
    for path in store.glob(f"*/{MANIFEST}"):
        try:
            found.append(load(store, path.parent.name))
        except AdapterError as error:
            _leave_out(str(error))
    return sorted(found, key=lambda manifest: manifest.version)


@cache  # once in a process: the store is looked at all the time
def _leave_out(complaint: str) -> None:
    _log.warning("an adapter that cannot be read is left out: %s", complaint)


def write_lineage(folder: Path, lessons: list[Lesson]) -> None:
    (folder / LINEAGE).write_text("".join(json.dumps(asdict(lesson)) + "\n" for lesson in lessons))


def read_lineage(store: Path, name: str) -> list[Lesson]:
    path = store / name / LINEAGE
    if not path.exists():
        return []
    lines = path.read_bytes().splitlines()
    return [_lesson(f"{path}, line {at}", line) for at, line in enumerate(lines, 1)]


def _lesson(where: str, line: bytes) -> Lesson:
    try:
        return _LESSON.validate_json(line)
    except ValidationError as error:
        raise CorruptAdapter(f"{where}: {first_complaint(error)}") from error


def _digests(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name not in (MANIFEST, f"{MANIFEST}.tmp"):
            with path.open("rb") as file:
                yield path.name, file_digest(file, "sha256").hexdigest()
