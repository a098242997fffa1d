"""What a figure is over the seeds: its mean and a 95% interval, and all of it as a table. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from statistics import fmean, stdev

# Student's t, two-sided 95%, by degrees of freedom: any table has them.
_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)

Figures = Mapping[str, Sequence[float]]  # of each seed, by name


def half_width(values: Sequence[float]) -> float | None:
    """Of the 95% interval of the mean; None of one value alone."""
    degrees = len(values) - 1
    if degrees > len(_T95):
        raise ValueError(f"{len(values)} seeds; expected at most {len(_T95) + 1}")
    return _T95[degrees - 1] * stdev(values) / sqrt(len(values)) if degrees else None


def lines(rows: Mapping[str, Figures], seeds: Sequence[int]) -> Iterator[str]:
    """One for each figure of each row: the mean, its interval, and every seed."""
    yield f"| | figure | mean, 95% interval | {' | '.join(f'seed {seed}' for seed in seeds)} |"
    yield "|---" * (3 + len(seeds)) + "|"
    for row, figures in rows.items():
        for at, (figure, values) in enumerate(figures.items()):
            every = " | ".join(told(figure, value) for value in values)
            yield f"| {'' if at else row} | {figure} | {_mean(figure, values)} | {every} |"


def _mean(figure: str, values: Sequence[float]) -> str:
    half = half_width(values)
    return told(figure, fmean(values)) + (f" ± {told(figure, half)}" if half is not None else "")


def told(figure: str, value: float) -> str:
    """Shares in percent; what is counted in something, as it is."""
    if "," not in figure:
        return f"{value:.1%}"
    return f"{value:.2f}" if "nats" in figure else f"{value:.1f}"
