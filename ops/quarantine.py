"""What the guard quarantined, and what people decide on it: theirs is the last word."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
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
    """A verdict, and who ruled on it: nobody, where `by` is empty."""

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
    return _standing(folder, lambda row: row["ruling"] is not None)


def decide(
    log: Log,
    folder: Path,
    who: str,
    weight: float,
    *,
    by: str,
    reason: str,
    everything: bool = False,  # also what nobody ruled on
) -> Decided:
    """Give this weight to what is held of what `who` said, or of what was said of `who`."""

    def wanted(row: dict[str, Any]) -> bool:
        about = who in (row["rater"], row["completion_id"])
        return about and (everything or row["ruling"] is not None)

    after = _reach(folder)  # before it is read: what settles later is looked at again
    about = _standing(folder, wanted)
    if not about:
        told = f"nothing that {who!r} said, or that was said of it, is"
        if everything:
            raise NothingToDo(f"{told} known")
        raise NothingToDo(
            f"{told} held; expected a rater of `thumbwheel quarantine --all`, or a completion"
        )
    new = [one for one in about if one.waits or one.weight != weight]
    if not new:
        latest = about[-1]
        raise NothingToDo(f"decided so already, by {latest.by}: {latest.reason}")
    log.append_all([_item(one.identity, weight, by, reason) for one in new])
    overruled = [one for one in new if one.by and not one.waits]
    return Decided(weight, {one.identity for one in new}, after, overruled)


def void(log: Log, folder: Path, who: Iterable[str], *, by: str, reason: str) -> dict[str, int]:
    """Let nothing count that these said so far; how many verdicts of each counted, or were held."""
    found = dict.fromkeys(who, 0)
    for one in found:
        with suppress(NothingToDo):
            done = decide(log, folder, one, 0.0, by=by, reason=reason, everything=True)
            found[one] = len(done.identities)
    return found


def is_settled(folder: Path, decided: Decided) -> bool:
    """The worker has given the weight to all of them."""
    by_hand = (row for row in _rows(folder, decided.after) if row["ruling"])
    found = {_identity(row) for row in by_hand if _agrees(_held(row), decided)}
    return decided.identities <= found


def _agrees(one: Held, decided: Decided) -> bool:
    return not one.waits and one.weight == decided.weight


def _standing(folder: Path, wanted: Callable[[dict[str, Any]], bool]) -> list[Held]:
    """Of those that hold; the latest last."""
    found: dict[Identity, Held] = {}
    for row in _rows(folder):
        found.pop(_identity(row), None)
        if wanted(row) and not row["retracted"]:
            found[_identity(row)] = _held(row)
    return list(found.values())


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
    by, _, reason = (row["ruling"] or "").partition(": ")
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
