"""Draws the liked rate and the traffic of a demo. The only file that talks to matplotlib."""

from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from math import nan
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from feedback.events import BASE
from ops.demo.findings import Judged, Record, judged
from serving.split import Split

BIN_SECONDS = 15.0
FEWEST = 6  # answers in a bin that make a point
_GREY = "#8a8a8a"
# Okabe and Ito's, which the colour-blind can tell apart.
_COLOURS = ("#0072B2", "#009E73", "#E69F00", "#CC79A7", "#56B4E9")
_RED = "#D55E00"


def draw(record: Record, path: Path) -> None:
    answers = judged(record.completions)
    if not answers:
        return
    began = answers[0].at
    end = _seconds(began, answers[-1].at)
    colours = _colours(answers, record.sabotaged)
    figure = Figure(figsize=(10, 6.2), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    rates, shares = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    for name, colour in colours.items():
        label = f"{name} (sabotaged)" if name == record.sabotaged else name
        times, liked = _rates(answers, name, began)
        rates.plot(times, liked, "o-", color=colour, ms=3.5, lw=1.8, label=label, clip_on=False)
    for split, start, stop in _phases(record.splits, began, end):
        _fill(shares, split, start, stop, colours)
        if split.canary:
            rates.axvspan(start, stop, color="black", lw=0, alpha=split.share_percent / 600)
    for before, after in pairwise(record.splits):
        _mark(rates, before, after, _seconds(began, after.at))
    _dress(rates, shares, end)
    figure.savefig(path)


def _colours(answers: list[Judged], sabotaged: str | None) -> dict[str, str]:
    names = dict.fromkeys(answer.adapter for answer in answers)
    others = [name for name in names if name not in (BASE, sabotaged)]
    picked = {name: _COLOURS[i % len(_COLOURS)] for i, name in enumerate(others)}
    return {name: picked.get(name, _GREY if name == BASE else _RED) for name in names}


def _rates(answers: list[Judged], adapter: str, began: datetime) -> tuple[list[float], list[float]]:
    """The true liked rate in each bin of time; a gap where there were too few answers."""
    bins: dict[int, list[bool]] = {}
    for answer in answers:
        if answer.adapter == adapter:
            place = int(_seconds(began, answer.at) // BIN_SECONDS)
            bins.setdefault(place, []).append(answer.facts.liked)
    places = range(min(bins), max(bins) + 1)
    times = [(place + 0.5) * BIN_SECONDS for place in places]
    return times, [_percent(bins.get(place, [])) for place in places]


def _percent(liked: list[bool]) -> float:
    return 100 * sum(liked) / len(liked) if len(liked) >= FEWEST else nan


def _phases(
    splits: list[Split], began: datetime, end: float
) -> Iterator[tuple[Split, float, float]]:
    starts = [max(0.0, _seconds(began, split.at)) for split in splits]
    for split, (start, stop) in zip(splits, pairwise([*starts, end]), strict=True):
        yield split, start, stop


def _mark(rates: Axes, before: Split, after: Split, seconds: float) -> None:
    """A line and a word where a trial ended or somebody stepped in."""
    what = _ending(before, after)
    if what:
        rates.axvline(seconds, color="black", lw=0.8, ls=":")
        rates.annotate(what, (seconds, 102), rotation=45, fontsize=8, annotation_clip=False)


def _ending(before: Split, after: Split) -> str:
    if before.stable != after.stable:
        promoted = after.stable == before.canary
        return f"{after.stable} promoted" if promoted else f"rolled back to {after.stable}"
    withdrawn = before.canary and after.canary is None
    return f"{before.canary} withdrawn" if withdrawn else ""


def _fill(shares: Axes, split: Split, start: float, stop: float, colours: dict[str, str]) -> None:
    parts = [(split.stable, 100 - split.share_percent), (split.canary, split.share_percent)]
    bottom = 0.0
    for name, share in parts:
        if name and stop > start:
            colour = colours.get(name, _GREY)
            shares.bar(start, share, stop - start, bottom, align="edge", color=colour, lw=0)
            bottom += share


def _dress(rates: Axes, shares: Axes, end: float) -> None:
    rates.set(ylim=(0, 100), ylabel="answers truly liked, %", xlim=(0, end))
    rates.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=9)
    shares.set(ylim=(0, 100), ylabel="traffic, %", xlabel="seconds since the first answer")
    for axes in (rates, shares):
        axes.spines[["top", "right"]].set_visible(False)
    rates.grid(axis="y", alpha=0.25)


def _seconds(began: datetime, at: datetime) -> float:
    return (at - began).total_seconds()
