"""What is written outlives a power cut. Door."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """What is in this file, or which names are in this folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
