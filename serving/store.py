"""The adapters store, wherever it is: a folder, or an address such as s3://bucket/adapters. Door.

The only file that talks to fsspec. Nothing is reached for before the first question.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import available_protocols

from trainer.adapters import (
    MANIFEST,
    CorruptAdapter,
    Manifest,
    UnknownAdapter,
    is_name,
    mark_of,
    read_manifest,
    read_mark,
)


class StoreAway(OSError):
    """The store does not answer, or does not let us in; the next question may be luckier."""


class Store:
    """`folder` is where adapters can be used in place; None where they are to be fetched."""

    def __init__(self, at: Path | str) -> None:
        self.folder = at.resolve() if isinstance(at, Path) else None
        self._at = str(self.folder or at)
        kind = self._at.partition("://")[0]
        if not self.folder and kind not in {*available_protocols(), *fsspec.registry}:
            raise ValueError(
                f"the adapters' address is {self._at!r}; "
                "expected one that fsspec knows, such as s3://bucket/adapters"
            )

    def within(self, folder: str) -> "Store":
        """Another one, in a folder of this one."""
        return Store(self.folder / folder if self.folder else f"{self._at.rstrip('/')}/{folder}")

    def manifest(self, name: str) -> Manifest:
        where = f"{name}/{MANIFEST}"
        raw = self._read(where) if is_name(name) else None
        if raw is None:
            raise UnknownAdapter(f"{name!r} is not published in the store")
        manifest = read_manifest(raw, name, where)
        for file in manifest.files:
            if file in (".", "..") or "/" in file:  # it would lie elsewhere
                raise CorruptAdapter(f"{where} lists {file!r}; expected the name of a file")
        return manifest

    def withdrawn(self, name: str) -> str | None:
        """Why it is, or None."""
        raw = self._read(mark_of(name))
        return None if raw is None else read_mark(raw)

    def read(self, manifest: Manifest, file: str) -> bytes:
        raw = self._read(f"{manifest.name}/{file}")
        if raw is None:
            raise CorruptAdapter(f"{manifest.name}/{file} is missing")
        return raw

    def size(self, manifest: Manifest) -> int:
        """Bytes of all its files but the manifest."""
        return sum(self._size(f"{manifest.name}/{file}") for file in manifest.files)

    def fetch(self, manifest: Manifest, folder: Path) -> None:
        for file in manifest.files:
            path = f"{manifest.name}/{file}"
            with _present(path), _asked():
                self._files.get_file(f"{self._root}/{path}", str(folder / file))

    def publish(self, folder: Path, manifest: Manifest) -> None:
        """What lies in `folder`; the manifest last, so that it is seen whole or not at all."""
        for file in (*manifest.files, MANIFEST):
            if not (folder / file).is_file():
                raise CorruptAdapter(f"{manifest.name}/{file} is missing")
        to = f"{self._root}/{manifest.name}"
        try:
            with _asked():
                self._make(to)
                for file in manifest.files:
                    self._files.put_file(str(folder / file), f"{to}/{file}")
                self._files.put_file(str(folder / MANIFEST), f"{to}/{MANIFEST}.tmp")
                self._files.mv(f"{to}/{MANIFEST}.tmp", f"{to}/{MANIFEST}")
        except FileNotFoundError as error:
            raise StoreAway(f"the store has no place for {manifest.name}: {error}") from error

    def _make(self, folder: str) -> None:
        """Where folders must be made. A bucket that is not there was mistyped, and is none."""
        if isinstance(self._files, LocalFileSystem):
            self._files.makedirs(folder, exist_ok=True)
            return
        with suppress(FileExistsError):
            self._files.mkdir(folder, create_parents=False)

    def _size(self, path: str) -> int:
        with _present(path), _asked():
            size: int | None = self._files.size(f"{self._root}/{path}")
        if size is None:
            raise StoreAway(f"the store does not tell the size of {path}")
        return size

    def _read(self, path: str) -> bytes | None:
        try:
            with _asked():
                raw: bytes = self._files.cat_file(f"{self._root}/{path}")
        except FileNotFoundError:
            return None
        return raw

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        if self.folder:  # whatever its name looks like
            return fsspec.filesystem("file"), self._at
        files, root = fsspec.core.url_to_fs(self._at)
        return files, root.rstrip("/")

    @property
    def _files(self) -> Any:
        return self._opened[0]

    @property
    def _root(self) -> str:
        return self._opened[1]


@contextmanager
def _asked() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:  # each kind of store has errors of its own
        raise StoreAway(f"the store does not answer: {type(error).__name__}: {error}") from error


@contextmanager
def _present(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise CorruptAdapter(f"{path} is missing") from error
