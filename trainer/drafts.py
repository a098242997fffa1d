"""The policy of a round under way, put where engines find adapters: the drafts of the store.

A draft's name is made of its weights, so one name never means two of them.
"""

import os
import shutil
from collections.abc import Callable
from hashlib import file_digest
from pathlib import Path

from trainer.adapters import DRAFTS, MANIFEST, publish
from trainer.blank import blank_manifest
from trainer.course import Places
from trainer.lora_files import WEIGHTS

_KEPT = 2  # an engine may still read the one before


def put_draft(places: Places, save: Callable[[Path], None]) -> str:
    """Its name. `save` writes an adapter's files into a folder."""
    store = places.adapters / DRAFTS
    made = store / ".made"
    shutil.rmtree(made, ignore_errors=True)  # of a round that died
    made.mkdir(parents=True)
    save(made)
    with (made / WEIGHTS).open("rb") as file:
        name = f"{places.series}-draft-{file_digest(file, 'sha256').hexdigest()[:16]}-v0"
    folder = store / name
    if not (folder / MANIFEST).exists():
        shutil.rmtree(folder, ignore_errors=True)  # a crash left it without
        os.replace(made, folder)
        publish(folder, blank_manifest(name, places.base))
    _leave_only(store, name)
    return name


def _leave_only(store: Path, newest: str) -> None:
    (store / newest).touch()  # also where it was there before
    found = sorted(store.glob(f"*/{MANIFEST}"), key=lambda path: path.parent.stat().st_mtime_ns)
    for manifest in found[:-_KEPT]:
        shutil.rmtree(manifest.parent)
