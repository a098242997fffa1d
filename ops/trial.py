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
    "refused",  # before its trial
    "stale",  # its parent is not stable any more
    "gates failed",
    "no gates",  # as a blank has none: it never goes on trial
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


def done(before: Split, after: Split) -> list[Done]:
    """The same with the adapter that it is about; a canary may go with the stable it was beside."""
    found = [Done(action(before, after), _moved(before, after), after)]
    if before.stable != after.stable and before.canary not in (None, after.stable, after.canary):
        found.append(Done("rolled_back", str(before.canary), after))
    return found


def unrecorded(splits: list[Split], moves: list[Move]) -> list[Done]:
    """Moves that are not in the history: somebody died between writing the split and them."""
    known = {(one.split_revision, one.adapter) for one in moves if one.action != "refused"}
    every = (one for before, after in pairwise(splits) for one in done(before, after))
    return [one for one in every if (one.split.revision, one.adapter) not in known]


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
    fates = Fates(splits, moves)
    waiting = (one.name for one in reversed(manifests) if fates.of(one) == "waiting")
    return Trial(
        split=splits[-1],
        waiting=next(waiting, None),  # only the newest waits
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


class Fates:
    """What became of each adapter."""

    def __init__(self, splits: list[Split], moves: list[Move]) -> None:
        self._now = splits[-1]
        self._over: dict[str, Fate] = {m.adapter: "refused" for m in moves if m.action == "refused"}
        self._over |= {one.canary: "withdrawn" for one in splits if one.canary}
        for before, after in pairwise(splits):
            if before.stable != after.stable:
                found = action(before, after)
                self._over[before.stable] = "succeeded" if found == "promoted" else "rolled back"

    def of(self, manifest: Manifest) -> Fate:
        name, now = manifest.name, self._now
        if name == now.stable:
            return "stable"
        if name == now.canary:
            return "canary"
        return self._over.get(name) or _untried(manifest, now)


def _untried(manifest: Manifest, now: Split) -> Fate:
    if not manifest.gates:
        return "no gates"
    if not manifest.passed:
        return "gates failed"
    return "waiting" if manifest.parent == now.stable else "stale"
