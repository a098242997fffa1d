"""What moved and why, as the log has it: the splits in force, and the moves that ops recorded."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime

from feedback.dead import is_aside, put_aside
from feedback.events import BadEvent, E, decode, encode
from feedback.log import Log, read_all
from ops.move import Action, Move
from serving.split import Split

_log = logging.getLogger(__name__)


def record(log: Log, action: Action, adapter: str, split: Split, reason: str) -> None:
    """`split` is the one that came of it; whoever wrote that did this."""
    move = Move(
        at=datetime.now(UTC),
        action=action,
        adapter=adapter,
        split_revision=split.revision,
        reason=reason,
        by=split.by,
    )
    log.append("rollouts", adapter, encode(move))


def moves(log: Log) -> list[Move]:
    return list(_readable(log, "rollouts", Move))


def splits(log: Log) -> list[Split]:
    """Every revision that was in force, in order; of two with one number the first was."""
    in_force: list[Split] = []
    for split in _readable(log, "split", Split):
        if not in_force or split.revision > in_force[-1].revision:
            in_force.append(split)
    return in_force


def _readable(log: Log, topic: str, kind: type[E]) -> Iterator[E]:
    for record in read_all(log, topic):
        try:
            yield decode(record.value, (kind,))
        except BadEvent as error:
            if not is_aside(log, topic, record):  # all is read at every tick, and told once
                put_aside(log, topic, record, str(error))
                _log.error("%s at %s cannot be read: %s", topic, record.position, error)
