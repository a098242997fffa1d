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
    made = store / f".{places.series}"
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
    shutil.rmtree(made, ignore_errors=True)  # where it was there before
    folder.touch()
    for old in _by_age(places)[:-_KEPT]:
        shutil.rmtree(old)
    return name


def clear_drafts(places: Places) -> None:
    """Of this series: another may have a round of its own."""
    for folder in _by_age(places):
        shutil.rmtree(folder)


def _by_age(places: Places) -> list[Path]:
    found = (places.adapters / DRAFTS).glob(f"{places.series}-draft-*")
    return sorted(found, key=lambda path: path.stat().st_mtime_ns)
