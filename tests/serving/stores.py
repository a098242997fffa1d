"""Adapters in a store for tests, and a store that fails, counts or is slow as it is told."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import _registry

from trainer.adapters import Manifest, claim_name, publish
from trainer.blank import blank_manifest

CONFIG = '{"r": 8}'


def published(store: Path, name: str, config: str = CONFIG, **files: bytes) -> Manifest:
    folder = claim_name(store, name)
    (folder / "adapter_config.json").write_text(config)
    for file, content in ({"weights": name.encode()} | files).items():
        (folder / file).write_bytes(content)
    return publish(folder, blank_manifest(name, "tiny"))


@dataclass
class Told:
    """`away`: the error of every question. `breaks_at`: the file that cannot be fetched."""

    away: Exception | None = None
    breaks_at: str | None = None
    seconds: float = 0.0
    asked: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)


class _ToldFiles(LocalFileSystem):  # type: ignore[misc]  # fsspec ships no types
    protocol = "told"
    cachable = False

    def __init__(self, told: Told, **more: Any) -> None:
        super().__init__(**more)
        self._told = told

    def cat_file(self, path: str, **more: Any) -> Any:
        self._told.asked.append(Path(path).name)
        time.sleep(self._told.seconds)
        if self._told.away:
            raise self._told.away
        return super().cat_file(path, **more)

    def get_file(self, path: str, to: str, **more: Any) -> None:
        if Path(path).name == self._told.breaks_at:
            Path(to).write_bytes(b"half")
            raise ConnectionResetError("in the middle")
        self._told.fetched.append(Path(path).name)
        super().get_file(path, to, **more)


@contextmanager
def told_store() -> Iterator[Told]:
    """Addresses such as told:///folder answer as told."""
    told = Told()

    class Files(_ToldFiles):
        def __init__(self, **more: Any) -> None:
            super().__init__(told, **more)

    fsspec.register_implementation("told", Files, clobber=True)
    yield told
    _registry.pop("told")
