"""What happened, as the log has it: the splits in force, the moves that ops recorded and why, and
who is to be forgotten.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice

from feedback.dead import Aside, Bad
from feedback.events import BadEvent, E, Forget, decode, encode
from feedback.examples import Watermark
from feedback.log import DECISIONS, FORGETS, ROLLOUTS, Log, Position, Record, read_all
from ops.move import Action, Look, Move
from serving.split import Split

_CHUNK = 1000  # records
_STARTS = b'"decision":"start"'
_log = logging.getLogger(__name__)
Take = Callable[[str, list[Bad]], None]


def leave_out(topic: str, found: list[Bad]) -> None:
    """Readers go on without them; the controller puts them aside."""


class PutAside:
    """All is read at every tick, and what cannot be read is met again each time."""

    def __init__(self, log: Log) -> None:
        self._aside = Aside(log)

    def __call__(self, topic: str, found: list[Bad]) -> None:
        for record, reason in self._aside.put(topic, found):
            _log.error("%s at %s cannot be read: %s", topic, record.position, reason)


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
    log.append(ROLLOUTS.name, adapter, encode(move))


def moves(log: Log, bad: Take = leave_out) -> list[Move]:
    """Whoever wrote a split, and a tick that saw it before its move, may both have recorded it."""
    first: dict[object, Move] = {}
    for move in _all(log, ROLLOUTS.name, Move, bad):
        again = move.split_revision if move.action != "refused" else object()
        first.setdefault(again, move)
    return list(first.values())


def splits(log: Log, bad: Take = leave_out) -> list[Split]:
    """Every revision that was in force, in order; of two with one number the first was."""
    in_force: list[Split] = []
    for split in _all(log, "split", Split, bad):
        if not in_force or split.revision > in_force[-1].revision:
            in_force.append(split)
    return in_force


def looks(log: Log, adapter: str, most: int) -> list[Look]:
    """The newest of one adapter's trial, as far back as the log still has them."""
    return [*islice(_looks_back(log, adapter), most)][::-1]


def since(log: Log, adapter: str) -> Watermark:
    """Nothing of its trial lies before that on the log; empty where that is not known."""
    found = (look.since for look in _looks_back(log, adapter, _STARTS) if look.since)
    return next(found, {})


def _looks_back(log: Log, adapter: str, with_word: bytes = b"") -> Iterator[Look]:
    """The newest first. There may be one for each second: most are passed over unread."""
    (end,) = log.end(DECISIONS.name).values()
    while end > 0:
        start = max(end - _CHUNK, 0)
        batch, at = list[Record](), start
        while at < end and (found := log.read(DECISIONS.name, 0, at, end - at)):
            batch += found
            at = found[-1].position.offset + 1
        mine = [one for one in batch if one.key == adapter and with_word in one.value]
        yield from (look for _, look in readable(reversed(mine), (Look,)))
        end = start


def forgets(log: Log) -> list[Forget]:
    return _all(log, FORGETS.name, Forget, leave_out)


def readable(records: Iterable[Record], kinds: tuple[type[E], ...]) -> Iterator[tuple[Position, E]]:
    """The events in these, where they are any: the worker puts the others aside."""
    for record in records:
        with suppress(BadEvent):
            yield record.position, decode(record.value, kinds)


def _all(log: Log, topic: str, kind: type[E], bad: Take) -> list[E]:
    found, unread = list[E](), list[Bad]()
    for record in read_all(log, topic):
        try:
            found.append(decode(record.value, (kind,)))
        except BadEvent as error:
            unread.append(Bad(record, str(error)))
    if unread:
        bad(topic, unread)
    return found
