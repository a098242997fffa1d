"""What a person may do to the split: roll back, promote, pause, resume."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from feedback.events import BASE
from feedback.log import Log
from ops import history, marks
from ops.act import SplitContended, change_split
from ops.trial import action, done
from serving.split import Split
from trainer.adapters import AdapterError, load, verify

TRIES = 5
_JUST_NOW = timedelta(minutes=10)
ROLLED_BACK = "rolled back by hand"  # where nobody says why


class NothingToDo(Exception):
    """The command asks for what is so already, or for what cannot be."""


class TakenBack(NothingToDo):
    """Somebody was quicker, or it was asked twice: what is meant was taken back just now."""


# Of the split, what is to be otherwise.
Fields = dict[str, Any]


def roll_back(
    log: Log,
    adapters: Path,
    by: str,
    to: str | None = None,
    reason: str = "",
    *,
    revision: int | None = None,
) -> Split:
    """Undo the last move: the canary's traffic or, where there is none, the last promotion.

    Automation pauses, so that it does not do again what was just undone. `revision`: only while
    this one is in force. Who asks twice undoes no more than who asks once.
    """
    splits = history.splits(log)
    served = {BASE} | {split.stable for split in splits}
    is_first = to is not None and served == {BASE} and _is_new(splits, adapters, to)
    if to is not None and to not in served and not is_first:
        known = ", ".join(sorted(served))
        raise NothingToDo(f"{to} was never stable; expected one of {known}")

    meant: list[Split] = []

    def undone(split: Split) -> Fields:
        meant.append(split)
        if to is None and revision != split.revision and _is_taken_back(log):
            told = f"taken back already, at revision {split.revision} by {split.by}"
            raise TakenBack(f"{told}: {split.reason}; to go further back, name the adapter")
        _is_meant(split, meant[0], to, revision)
        return way_back(split, adapters, to, pinned=not is_first)

    return change(log, by, reason or ROLLED_BACK, undone, adapters=adapters)


def _is_new(splits: list[Split], adapters: Path, name: str) -> bool:
    """It passed its gates, and was never tried: as in a store that outlived its log."""
    try:
        found = load(adapters, name)
    except AdapterError:
        return False
    return bool(found.gates) and found.passed and name not in {one.canary for one in splits}


def _is_taken_back(log: Log) -> bool:
    """By the last revision: nobody has let automation go on since, or had the time to see it."""
    splits = history.splits(log)
    if len(splits) < 2:
        return False
    before, after = splits[-2:]
    if action(before, after) == "withdrawn":
        return datetime.now(UTC) - after.at < _JUST_NOW
    if action(before, after) != "rolled_back" or not after.pinned:
        return False
    known = [split.stable for split in splits]  # who goes to a newer one has undone an undoing
    return known.index(after.stable) <= known.index(before.stable)


def _is_meant(split: Split, first: Split, to: str | None, revision: int | None) -> None:
    """What was to be undone may be gone: nobody asked for what was before it."""
    told = f"revision {split.revision}, by {split.by}, came just before: {split.reason}"
    if revision not in (None, split.revision):
        raise NothingToDo(f"revision {revision} is not in force; {told}")
    if to is None and (split.stable, split.canary) != (first.stable, first.canary):
        raise NothingToDo(told)


def promote(
    log: Log, adapters: Path, by: str, canary: str | None = None, reason: str = ""
) -> Split:
    """Make the canary stable now, whatever was seen of it. `canary`: only if it is this one."""
    return change(
        log, by, reason or "promoted by hand", lambda now: _promoted(now, canary), adapters=adapters
    )


def pause(log: Log, by: str, reason: str = "") -> Split:
    return change(log, by, reason or "paused by hand", _paused)


def resume(log: Log, by: str, reason: str = "") -> Split:
    return change(log, by, reason or "resumed by hand", _resumed)


def current(log: Log) -> Split:
    known = history.splits(log)
    if not known:
        raise NothingToDo("there is no split on the log yet: has a controller ever run on it?")
    return known[-1]


def stable(log: Log) -> str:
    """What serves, as the trainer sees it: base before there is any split."""
    known = history.splits(log)
    return known[-1].stable if known else BASE


def way_back(split: Split, adapters: Path, to: str | None, *, pinned: bool) -> Fields:
    """To `to`; without one, to what was before the last move."""
    if to is None:
        to = split.stable if split.canary else _before(split, adapters)
    if to not in (BASE, split.stable):  # what serves goes on serving, and its canary must go
        verify(adapters, to)
    if to == split.stable and split.canary is None:
        raise NothingToDo(f"{to} is stable already, since revision {split.revision}")
    return {"stable": to, "canary": None, "share_percent": 0.0, "pinned": pinned}


def _before(split: Split, adapters: Path) -> str:
    if split.stable == BASE:
        raise NothingToDo("stable is base, the model with no adapter: nothing is before it")
    return load(adapters, split.stable).parent


def _promoted(split: Split, canary: str | None) -> Fields:
    if split.canary is None:
        raise NothingToDo(f"there is no canary; {split.stable} is stable")
    if canary not in (None, split.canary):
        raise NothingToDo(f"the canary is {split.canary}, not {canary}")
    return {"stable": split.canary, "canary": None, "share_percent": 0.0}


def _paused(split: Split) -> Fields:
    if split.pinned:
        raise NothingToDo(f"paused already, by {split.by} at revision {split.revision}")
    return {"pinned": True}


def _resumed(split: Split) -> Fields:
    if not split.pinned:
        raise NothingToDo("not paused")
    return {"pinned": False}


def change(
    log: Log,
    by: str,
    reason: str,
    asked: Callable[[Split], Fields],
    *,
    adapters: Path | None = None,  # where who is withdrawn is marked
) -> Split:
    """Ask what is to be done about the split in force, and do it, unless others are quicker."""
    for _ in range(TRIES):
        seen = current(log)
        fields = asked(seen)
        if adapters:
            marks.unmark(adapters, fields["stable"])
        try:
            after = change_split(log, seen, reason, by, **fields)
        except SplitContended:
            continue  # automation moved at the same moment: look again
        if adapters:
            marks.follow(adapters, [seen, after], after)
        for one in done(seen, after):
            history.record(log, *one, reason)
        return after
    raise SplitContended(f"the split was written by others {TRIES} times in a row; try again")
