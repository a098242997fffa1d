"""The demo's base model, taught anew for each seed, and kept on the disk."""

from pathlib import Path

from ops.demo.corpus import EVEN, Shares
from ops.demo.teach import Course, make

# How often the base is polite and short before anybody says what they like.
MIXES = {
    "even": EVEN,
    "mostly liked": Shares(polite=0.9, short=0.9),
    "mostly disliked": Shares(polite=0.35, short=0.35),
}


def taught(folder: Path, seed: int, mix: str) -> Path:
    """Two minutes of one core where it is not there yet."""
    base = folder / f"{mix.replace(' ', '-')}-{seed}"
    make(base, Course(seed=seed, shares=MIXES[mix]))
    return base
