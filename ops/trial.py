"""Where the roll-out stands, told from the splits, the moves and the manifests alone. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Literal, NamedTuple

from ops.decide import Trial
from ops.move import Action, Move
from serving.split import Split
from trainer.adapters import Manifest

Fate = Literal[
    "stable",
    "canary",
    "waiting",
    "succeeded",  # was stable until a better one came
    "rolled back",
    "withdrawn",
    "stale",  # its parent is not stable any more
    "gates failed",
    "blank",
]


class Done(NamedTuple):
    action: Action
    adapter: str
    split: Split  # that came of it


@dataclass(frozen=True)
class Rollout:
    """The canary's trial: the revisions with which it, and its share, began."""

    canary: str
    first: Split
    step: Split
    shares: Mapping[int, float]  # of traffic, by revision


def action(before: Split, after: Split) -> Action:
    """What was done between two revisions, told from them alone."""
    if before.stable != after.stable:
        return "promoted" if before.canary == after.stable else "rolled_back"
    if before.canary != after.canary:
        if after.canary:
            return "started"
        return "rolled_back" if after.pinned else "withdrawn"
    if before.share_percent != after.share_percent:
        return "stepped"
    return "paused" if after.pinned else "resumed"


def unrecorded(splits: list[Split], moves: list[Move]) -> list[Done]:
    """Revisions whose move is not in the history: somebody died between writing the two."""
    known = {move.split_revision for move in moves if move.action != "refused"}
    return [
        Done(action(before, after), _moved(before, after), after)
        for before, after in pairwise(splits)
        if after.revision not in known
    ]


def _moved(before: Split, after: Split) -> str:
    """The adapter that a move is about: the canary, or else the stable one that gave way."""
    if before.stable != after.stable:
        return after.stable if before.canary == after.stable else before.stable
    return after.canary or before.canary or after.stable


def rollout(splits: list[Split]) -> Rollout | None:
    now = splits[-1]
    if now.canary is None:
        return None
    mine = [split for split in splits if split.canary == now.canary]
    step = next(split for split in mine if split.share_percent == now.share_percent)
    shares = {split.revision: split.share_percent / 100 for split in mine}
    return Rollout(now.canary, mine[0], step, shares)


def trial(
    splits: list[Split], moves: list[Move], manifests: list[Manifest], now: datetime
) -> Trial:
    current = rollout(splits)
    waiting = [m for m in manifests if fate(m, splits, moves) == "waiting"]
    return Trial(
        split=splits[-1],
        waiting=waiting[-1].name if waiting else None,  # only the newest waits
        seconds=_moving(splits, current.first, now) if current else 0.0,
        step_seconds=_moving(splits, current.step, now) if current else 0.0,
    )


def _moving(splits: list[Split], start: Split, now: datetime) -> float:
    """Seconds since `start`, less those that were paused."""
    since = [split for split in splits if split.revision >= start.revision]
    ends = [*(split.at for split in since[1:]), now]
    return sum(
        (end - split.at).total_seconds()
        for split, end in zip(since, ends, strict=True)
        if not split.pinned
    )


def fate(manifest: Manifest, splits: list[Split], moves: list[Move]) -> Fate:
    """What became of an adapter."""
    name, now = manifest.name, splits[-1]
    if name == now.stable:
        return "stable"
    if name == now.canary:
        return "canary"
    for before, after in reversed(list(pairwise(splits))):
        if before.stable == name != after.stable:
            return "succeeded" if before.canary == after.stable else "rolled back"
    tried = any(name == split.canary for split in splits)
    if tried or any(name == move.adapter and move.action == "refused" for move in moves):
        return "withdrawn"
    return _untried(manifest, now)


def _untried(manifest: Manifest, now: Split) -> Fate:
    if not manifest.gates:
        return "blank"
    if not manifest.passed:
        return "gates failed"
    return "waiting" if manifest.parent == now.stable else "stale"
