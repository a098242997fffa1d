"""Fetched adapters on this machine, shared by all its engines: each is fetched once and seen whole.

An engine reads an adapter's files again whenever it had to put it aside, so what a living process
was handed is not removed: it holds a lock on the folder until it releases it, or ends.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from trainer.adapters import MANIFEST, AdapterError, CorruptAdapter, Manifest, load, verify

_DRAFTS = ".drafts"  # what is being fetched, or removed
Fetch = Callable[[Manifest, Path], None]


class Cache:
    """Keeps `keep` adapters, and more only while engines may read them."""

    def __init__(self, folder: Path, keep: int) -> None:
        self._folder, self._keep = folder, keep
        self._held: dict[str, int] = {}

    def known(self, name: str) -> Manifest | None:
        """Of an adapter that was fetched before."""
        try:
            return load(self._folder, name)
        except (AdapterError, OSError):
            return None

    def hold(self, manifest: Manifest, fetch: Fetch) -> Path:
        """Its folder, with files that are those of the manifest, until it is released."""
        with self._alone():
            if not self._has(manifest):
                self._add(manifest, fetch)
            path = self._folder / manifest.name
            if manifest.name not in self._held:
                self._held[manifest.name] = _locked(path, fcntl.LOCK_SH)
            os.utime(path)
            self._trim()
        return path

    def release(self, name: str) -> None:
        """No engine of ours reads it any more."""
        if handle := self._held.pop(name, None):
            os.close(handle)

    def _has(self, manifest: Manifest) -> bool:
        try:
            return verify(self._folder, manifest.name) == manifest
        except AdapterError:
            return False

    def _add(self, manifest: Manifest, fetch: Fetch) -> None:
        name, drafts = manifest.name, self._folder / _DRAFTS
        shutil.rmtree(drafts, ignore_errors=True)  # of one who died
        (drafts / name).mkdir(parents=True)
        try:
            fetch(manifest, drafts / name)
            (drafts / name / MANIFEST).write_text(manifest.model_dump_json(indent=2))
            verify(drafts, name)
            if (self._folder / name).exists() and not self._removed(self._folder / name):
                raise CorruptAdapter(f"{name} was changed in the cache while an engine uses it")
            os.rename(drafts / name, self._folder / name)
        finally:
            shutil.rmtree(drafts, ignore_errors=True)

    def _trim(self) -> None:
        """The least recently handed out goes first."""
        kept = [manifest.parent for manifest in self._folder.glob(f"*/{MANIFEST}")]
        surplus = len(kept) - self._keep
        for path in sorted(kept, key=lambda path: path.stat().st_mtime):
            if surplus > 0 and self._removed(path):
                surplus -= 1

    def _removed(self, path: Path) -> bool:
        """Unless an engine may read it: then it stays."""
        try:
            handle = _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        gone = self._folder / _DRAFTS / f"{path.name}.gone"
        try:
            gone.parent.mkdir(exist_ok=True)
            os.rename(path, gone)  # at once; its files may take a while
            shutil.rmtree(gone, ignore_errors=True)
        finally:
            os.close(handle)
        return True

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One at a time on this machine: threads and processes."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _locked(folder: Path, how: int) -> int:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, how)
    except OSError:
        os.close(handle)
        raise
    return handle
