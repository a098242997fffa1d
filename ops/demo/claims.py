"""What the demo sets out to show, and whether its log bears it out. Pure."""

from typing import NamedTuple

from feedback.events import BASE
from ops.demo.findings import Record, lines
from ops.move import Move

LIFT_POINTS = 50.0  # that the rounds must lift the true liked rate
ROUNDS = 2


class Claim(NamedTuple):
    """Something that the demo is to show, whether it did, and by what numbers."""

    what: str
    holds: bool
    seen: str


def claims(record: Record) -> list[Claim]:
    return [
        _rounds(record),
        _lift(record),
        _sabotage(record),
        _rollback(record),
        _none_lost(record),
    ]


def promoted(moves: list[Move]) -> list[str]:
    return [move.adapter for move in moves if move.action == "promoted"]


def _rounds(record: Record) -> Claim:
    names = promoted(record.moves)
    what = f"{ROUNDS} rounds earned their promotion"
    return Claim(what, len(names) >= ROUNDS, f"promoted: {', '.join(names) or 'none'}")


def _lift(record: Record) -> Claim:
    what = f"they lifted the true liked rate by {LIFT_POINTS:g} points or more"
    rates = {line.adapter: line.liked.rate for line in lines(record) if line.answers}
    best = next((name for name in reversed(promoted(record.moves)) if name in rates), BASE)
    if BASE not in rates:
        return Claim(what, False, "the base model never answered")
    lift = 100 * (rates[best] - rates[BASE])
    seen = f"{BASE} {rates[BASE]:.1%}, {best} {rates[best]:.1%}: {lift:+.1f} points"
    return Claim(what, best != BASE and lift >= LIFT_POINTS, seen)


def _sabotage(record: Record) -> Claim:
    mine = [move for move in record.moves if move.adapter == record.sabotaged]
    taken = next((move for move in mine if move.action == "withdrawn" and move.by == "ops"), None)
    tried = any(move.action == "started" for move in mine)
    seen = f"{taken.adapter}: {taken.reason}" if taken else "it was not withdrawn"
    return Claim("a sabotaged adapter was found out and withdrawn", bool(taken and tried), seen)


def _rollback(record: Record) -> Claim:
    what = "a rollback by hand gave the traffic to the former adapter"
    back = next((move for move in reversed(record.moves) if move.action == "rolled_back"), None)
    if back is None:
        return Claim(what, False, "nobody rolled back")
    split = next(s for s in record.splits if s.revision == back.split_revision)
    after = [c.adapter for c in record.completions if c.split_revision == split.revision]
    seen = f"from {back.adapter} to {split.stable}, which then gave {len(after)} answers"
    return Claim(what, bool(after) and set(after) == {split.stable}, seen)


def _none_lost(record: Record) -> Claim:
    settled = {(e.completion_id, e.up) for e in record.examples if e.slot == "thumb"}
    lost = [v for v in record.accepted if (v.completion_id, v.up) not in settled]
    seen = f"{len(record.accepted)} accepted, {len(lost)} of them not among the examples"
    return Claim("no verdict that was accepted was lost", bool(record.accepted) and not lost, seen)
