"""The adapters folder: one folder per adapter, its manifest written last. Door. Knows no torch.

What its files say is defined in manifest.py and withdrawal.py, and handed on here.

AdapterError
├── UnknownAdapter     no adapter of this name is published
├── CorruptAdapter     its files are not those its manifest names, or cannot be read
└── NameTaken          an adapter's name is never used twice
"""

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from hashlib import file_digest
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from feedback.disk import sync
from feedback.events import Id, User, first_complaint
from trainer.manifest import DRAFT, NAME
from trainer.manifest import DRAFTS as DRAFTS
from trainer.manifest import Estimate as Estimate
from trainer.manifest import GateResult as GateResult
from trainer.manifest import Manifest as Manifest
from trainer.manifest import series_of as series_of
from trainer.manifest import version_of as version_of
from trainer.withdrawal import Withdrawal
from trainer.withdrawal import mark_of as mark_of
from trainer.withdrawal import read_mark as read_mark

_log = logging.getLogger(__name__)
MANIFEST = "manifest.json"
LINEAGE = "lineage.jsonl"
Use = Literal["train", "replay", "holdout"]


class AdapterError(Exception):
    """Something about an adapter's folder is not as it must be."""


class UnknownAdapter(AdapterError):
    pass


class CorruptAdapter(AdapterError):
    pass


class NameTaken(AdapterError):
    pass


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class Lesson:
    """One completion that an adapter learned from, or was held out to test it."""

    completion_id: Id
    user: User
    use: Use


_LESSON = TypeAdapter(Lesson)


def claim(store: Path, series: str) -> Path:
    """A new folder, `SERIES-vN`, with a number above every other in the store, published or not."""
    store.mkdir(parents=True, exist_ok=True)
    taken = [version_of(path.name) for path in store.iterdir() if is_name(path.name)]
    return claim_name(store, f"{series}-v{max(taken, default=0) + 1}")


def claim_name(store: Path, name: str) -> Path:
    if not is_name(name):
        raise AdapterError(f"adapter name is {name!r}; expected NAME-vNUMBER")
    folder = store / name
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise NameTaken(f"{name} is in {store} already; a name is never used twice") from error
    sync(store)
    return folder


def publish(folder: Path, manifest: Manifest) -> Manifest:
    """Make the files in `folder` an adapter, seen whole or not at all."""
    if (folder / MANIFEST).exists():
        raise NameTaken(f"{manifest.name} is published already; an adapter never changes")
    whole = manifest.model_copy(update={"files": dict(_digests(folder))})
    for name in whole.files:
        sync(folder / name)  # what the manifest names is on the disk before the manifest is
    _write(folder / MANIFEST, whole.model_dump_json(indent=2))
    return whole


def _write(path: Path, text: str) -> None:
    """There whole or not at all, whatever happens."""
    draft = path.with_name(f"{path.name}.tmp")
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
    sync(path.parent)


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
    if not is_name(name) or not path.is_file():
        raise UnknownAdapter(f"{name!r} is not published in {store}")
    return read_manifest(path.read_bytes(), name, str(path))


def is_name(name: str) -> bool:
    """What is none, such as `../model-v1`, is not looked for."""
    return bool(NAME.fullmatch(name))


def is_draft(name: str) -> bool:
    return bool(DRAFT.fullmatch(name))


def read_manifest(raw: bytes, name: str, where: str) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(raw)
    except ValidationError as error:
        raise CorruptAdapter(f"{where}: {first_complaint(error)}") from error
    if "v" not in manifest.model_fields_set:
        raise CorruptAdapter(f"{where}: v is missing; this version reads v 1")
    if manifest.name != name:
        raise CorruptAdapter(f"{where} is the manifest of {manifest.name}")
    return manifest


class Shelf:
    """The adapters of a store, as they come. A manifest never changes: each is read once."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._read: dict[str, Manifest] = {}

    def adapters(self) -> list[Manifest]:
        """Every readable one, oldest version first; without a manifest it is not published."""
        names = os.listdir(self._store) if self._store.is_dir() else []
        found = {name: self._read.get(name) or self._readable(name) for name in names}
        self._read = {name: manifest for name, manifest in found.items() if manifest}
        return sorted(self._read.values(), key=lambda manifest: manifest.version)

    def _readable(self, name: str) -> Manifest | None:
        if not (self._store / name / MANIFEST).is_file():
            return None
        try:
            return load(self._store, name)
        except AdapterError as error:
            _leave_out(str(error))
            return None


def published(store: Path) -> list[Manifest]:
    return Shelf(store).adapters()


@cache  # once in a process: the store is looked at all the time
def _leave_out(complaint: str) -> None:
    _log.warning("an adapter that cannot be read is left out: %s", complaint)


def withdraw(store: Path, name: str, reason: str, by: str) -> None:
    """From now on an engine that has it not loaded refuses it, with the reason."""
    load(store, name)
    mark = Withdrawal(at=datetime.now(UTC), reason=reason, by=by)
    _write(store / mark_of(name), mark.model_dump_json(indent=2))


def bring_back(store: Path, name: str) -> None:
    mark = store / mark_of(name)
    if mark.exists():
        mark.unlink()


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
