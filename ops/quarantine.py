"""What the guard quarantined, and what people decide on it: theirs is the last word."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from feedback import examples
from feedback.events import GUARD, Ruling, encode, group_of
from feedback.examples import Identity, Watermark
from feedback.log import VERDICTS, Log
from ops.by_hand import NothingToDo

_COLUMNS = (
    *("completion_id", "slot", "rater", "adapter", "judged_at"),
    *("weight", "ruling", "retracted"),
)


class Held(NamedTuple):
    """A verdict on which somebody ruled."""

    identity: Identity
    adapter: str
    judged_at: datetime
    weight: float
    by: str
    reason: str

    @property
    def waits(self) -> bool:
        """No person has decided on it."""
        return self.by == GUARD


class Decided(NamedTuple):
    """What was put on the log, to be settled beyond `after`."""

    weight: float
    identities: set[Identity]
    after: Watermark
    overruled: list[Held]  # on which a person had decided otherwise


def held(folder: Path) -> list[Held]:
    """Of all verdicts that hold, those that somebody ruled on, the latest last."""
    found: dict[Identity, Held] = {}
    for row in _rows(folder):
        found.pop(_identity(row), None)
        if row["ruling"] and not row["retracted"]:
            found[_identity(row)] = _held(row)
    return list(found.values())


def decide(log: Log, folder: Path, who: str, weight: float, *, by: str, reason: str) -> Decided:
    """Give this weight to all of what is held that `who` said, or that was said of `who`."""
    after = _reach(folder)  # before it is read: what settles later is looked at again
    about = [one for one in held(folder) if who in (one.identity.rater, one.identity.completion_id)]
    if not about:
        raise NothingToDo(
            f"nothing that {who!r} said, or that was said of it, is held; "
            "expected a rater of `thumbwheel quarantine --all`, or a completion"
        )
    new = [one for one in about if one.waits or one.weight != weight]
    if not new:
        latest = about[-1]
        raise NothingToDo(f"decided so already, by {latest.by}: {latest.reason}")
    log.append_all([_item(one.identity, weight, by, reason) for one in new])
    overruled = [one for one in new if not one.waits]
    return Decided(weight, {one.identity for one in new}, after, overruled)


def drop(log: Log, folder: Path, who: str, *, by: str, reason: str) -> int:
    """Let nothing count that `who` said, or that was said of the completion `who`; how much it is.

    Whether the guard quarantined it or not.
    """
    found = dict[Identity, bool]()
    for row in _rows(folder):
        identity = _identity(row)
        if who in (identity.rater, identity.completion_id):
            found[identity] = not row["retracted"]
    standing = [identity for identity, stands in found.items() if stands]
    log.append_all([_item(identity, 0.0, by, reason) for identity in standing])
    return len(standing)


def is_settled(folder: Path, decided: Decided) -> bool:
    """The worker has given the weight to all of them."""
    by_hand = (row for row in _rows(folder, decided.after) if row["ruling"])
    found = {_identity(row) for row in by_hand if _agrees(_held(row), decided)}
    return decided.identities <= found


def _agrees(one: Held, decided: Decided) -> bool:
    return not one.waits and one.weight == decided.weight


def _rows(folder: Path, after: Watermark | None = None) -> Iterator[dict[str, Any]]:
    for batch in examples.batches(folder, after):
        yield from examples.some(batch, _COLUMNS)


def _reach(folder: Path) -> Watermark:
    reach: Watermark = {}
    for batch in examples.batches(folder):
        reach |= {place: max(end, reach.get(place, 0)) for place, end in batch.end.items()}
    return reach


def _identity(row: dict[str, Any]) -> Identity:
    return Identity(row["completion_id"], row["slot"], row["rater"])


def _held(row: dict[str, Any]) -> Held:
    by, _, reason = row["ruling"].partition(": ")
    return Held(_identity(row), row["adapter"], row["judged_at"], row["weight"], by, reason)


def _item(identity: Identity, weight: float, by: str, reason: str) -> tuple[str, str, bytes]:
    ruling = Ruling(
        at=datetime.now(UTC),
        completion_id=identity.completion_id,
        slot=identity.slot,
        rater=identity.rater,
        weight=weight,
        reason=reason,
        by=by,
    )
    return VERDICTS.name, group_of(identity.completion_id), encode(ruling)
