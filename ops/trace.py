"""Follows one completion by its id, through the log, the examples, the adapters and the splits."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from feedback import examples
from feedback.events import (
    VERDICT_KINDS,
    Comparison,
    Completion,
    Correction,
    E,
    Outcome,
    Retraction,
    Ruling,
    Thumb,
    Verdict,
    group_of,
)
from feedback.examples import Example
from feedback.log import Log, Position, read_all
from ops.history import forgets, readable, splits
from trainer.adapters import published, read_lineage


class Stop(NamedTuple):
    """One place that the completion came through, and what is known of it there."""

    place: str
    told: str


def trace(log: Log, examples_folder: Path, adapters: Path, completion_id: str) -> list[Stop]:
    """Every stop, from the request to the splits; only the first where the id is unknown."""
    served = [
        event
        for _, event in _of_group(log, "completions", completion_id, (Completion,))
        if event.id == completion_id
    ]
    if not served:
        return []
    learned = list(_adapters_that_saw(adapters, completion_id))
    return [
        _completion(served[0]),
        *_said_of(log, completion_id),
        *_forgotten(log, served[0].user),
        *_settled_rows(examples_folder, completion_id),
        *(Stop("adapter", f"{name}: {use}") for name, use in learned),
        *_splits(log, served[0], {name for name, _ in learned}),
    ]


def _completion(served: Completion) -> Stop:
    revision = "named by the caller" if served.split_revision is None else served.split_revision
    return Stop(
        "completion",
        f"{served.at:%Y-%m-%d %H:%M:%S} by {served.adapter}, split revision {revision}, "
        f"for user {served.user}: {served.answer!r}",
    )


def _said_of(log: Log, completion_id: str) -> Iterator[Stop]:
    """A comparison is of both its answers, and so is what was said of it afterwards."""
    compared_with = set[str]()
    for position, event in _of_group(log, "verdicts", completion_id, VERDICT_KINDS):
        assert isinstance(event, Verdict | Ruling)
        if isinstance(event, Comparison) and event.other_id == completion_id:
            compared_with.add(event.completion_id)
        of_it = event.slot == "comparison" and event.completion_id in compared_with
        if of_it or event.completion_id == completion_id:
            place, told = _ruled(event) if isinstance(event, Ruling) else _judged(event)
            where = f"verdicts/{position.partition}:{position.offset}"
            yield Stop(place, f"{event.at:%Y-%m-%d %H:%M:%S} {told}, at {where}")


def _judged(event: Verdict) -> Stop:
    who = event.user or "whoever asked"
    return Stop("verdict", f"{_said(event)} by {who}, key {event.key}")


def _ruled(event: Ruling) -> Stop:
    about = f"{event.slot} by {event.rater}"
    return Stop("ruling", f"weight {event.weight:g} for {about}, by {event.by}: {event.reason}")


def _said(event: Verdict) -> str:
    match event:
        case Thumb():
            return "thumb up" if event.up else "thumb down"
        case Correction():
            return f"correction {event.text!r}"
        case Comparison():
            return f"comparison, {_compared(event.completion_id, event.other_id, event.winner)},"
        case Outcome():
            return f"outcome {event.name} = {event.value:g}"
        case Retraction():
            return f"retraction of {event.of}"
    raise AssertionError(event.kind)


def _forgotten(log: Log, user: str) -> Iterator[Stop]:
    for wish in forgets(log):
        if wish.user == user:
            when = f"{wish.at:%Y-%m-%d %H:%M:%S}"
            yield Stop("forget", f"{when} by {wish.by}: what {user} asked and said is left out")


def _settled_rows(folder: Path, completion_id: str) -> Iterator[Stop]:
    """Every row in its order; the last of an identity holds."""
    group, rows = group_of(completion_id), list[Example]()
    for batch in examples.batches(folder):
        rows += [row for row in examples.rows(batch) if group_of(row.completion_id) == group]
    about = {row.identity for row in rows if completion_id in (row.completion_id, row.rival_id)}
    holding = {row.identity: row for row in rows}
    return (
        _example(row, holds=holding[row.identity] is row) for row in rows if row.identity in about
    )


def _example(row: Example, *, holds: bool) -> Stop:
    held = "taken back" if row.retracted else _settled(row)
    ruled = f" ({row.ruling})" if row.ruling else ""
    return Stop(
        "example",
        f"{row.slot} by {row.rater} settled as {held}, weight {row.weight:g}{ruled}, "
        f"from verdicts/{row.partition}:{row.offset}{'' if holds else ', replaced since'}",
    )


def _settled(row: Example) -> str:
    if row.up is not None:
        return "up" if row.up else "down"
    if row.winner is not None:
        return _compared(row.completion_id, str(row.rival_id), row.winner)
    return repr(row.correction) if row.correction is not None else f"{row.value:g}"


def _compared(a: str, b: str, winner: str) -> str:
    return f"{winner} of a, {a}, and b, {b}"


def _adapters_that_saw(adapters: Path, completion_id: str) -> Iterator[tuple[str, str]]:
    for manifest in published(adapters):
        lineage = read_lineage(adapters, manifest.name)
        # Of a correction both who asked and who wrote are in it.
        for use in sorted({one.use for one in lineage if one.completion_id == completion_id}):
            yield manifest.name, use


def _splits(log: Log, served: Completion, learned: set[str]) -> Iterator[Stop]:
    """The split that served it, and every later one that gave traffic to what learned from it."""
    for split in splits(log):
        if split.revision == served.split_revision or {split.stable, split.canary} & learned:
            canary = f", canary {split.canary} {split.share_percent:g}%" if split.canary else ""
            told = f"revision {split.revision}: stable {split.stable}{canary} ({split.reason})"
            yield Stop("split", told)


def _of_group(
    log: Log, topic: str, completion_id: str, kinds: tuple[type[E], ...]
) -> Iterator[tuple[Position, E]]:
    group = group_of(completion_id)
    return readable((one for one in read_all(log, topic) if one.key == group), kinds)
