"""A curve in one line of text. Pure."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN = "_.-=+*#@"  # for terminals without UTF-8


def sparkline(values: Sequence[float], width: int, ramp: str = BLOCKS) -> str:
    """From its least to its greatest value; more values than fit are averaged, side by side."""
    shown = _averaged(values, width) if len(values) > width else list(values)
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    steps = (len(ramp) - 1) / (high - low) if high > low else 0.0
    return "".join(ramp[round((value - low) * steps)] for value in shown)


def _averaged(values: Sequence[float], width: int) -> list[float]:
    edges = [at * len(values) // width for at in range(width + 1)]
    return [fmean(values[a:b]) for a, b in pairwise(edges)]
