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
from feedback.log import (
    DECISIONS,
    FORGETS,
    RELEASES,
    ROLLOUTS,
    SPLIT,
    Log,
    Position,
    Record,
    read_on,
)
from ops.declared import Release
from ops.move import Action, Look, Move
from serving.split import Split

_CHUNK = 1000  # records
_STARTS = b'"decision":"start"'
_log = logging.getLogger(__name__)
Take = Callable[[str, list[Bad]], None]


def leave_out(topic: str, found: list[Bad]) -> None:
    """Readers go on without them; the controller puts them aside."""


class PutAside:
    """All is read after each start, and what cannot be read is met again each time."""

    def __init__(self, log: Log) -> None:
        self._aside = Aside(log)

    def __call__(self, topic: str, found: list[Bad]) -> None:
        for record, reason in self._aside.put(topic, found):
            _log.error("%s at %s cannot be read: %s", topic, record.position, reason)


def record(
    log: Log, action: Action, adapter: str, split: Split, reason: str, by: str | None = None
) -> None:
    """`split` is the one that came of it; whoever wrote that did this, unless it says `by`."""
    move = Move(
        at=datetime.now(UTC),
        action=action,
        adapter=adapter,
        split_revision=split.revision,
        reason=reason,
        by=by or split.by,
    )
    log.append(ROLLOUTS.name, adapter, encode(move))


class Past:
    """The splits and the moves that lie on a log; what was read once is not read again."""

    def __init__(self, log: Log, bad: Take = leave_out) -> None:
        self._log, self._bad = log, bad
        self._offsets: dict[str, dict[int, int]] = {}  # by topic
        self._splits: list[Split] = []
        self._moves: dict[object, Move] = {}
        self._releases: list[Release] = []

    def splits(self) -> list[Split]:
        """Every revision that was in force, in order; of two with one number the first was."""
        for split in self._new(SPLIT.name, Split):
            if not self._splits or split.revision > self._splits[-1].revision:
                self._splits.append(split)
        return [*self._splits]

    def moves(self) -> list[Move]:
        """Each once: who wrote a split, and a tick that saw it before its move, may both tell."""
        for move in self._new(ROLLOUTS.name, Move):
            again = (move.split_revision, move.adapter) if move.action != "refused" else object()
            self._moves.setdefault(again, move)
        return [*self._moves.values()]

    def releases(self) -> list[Release]:
        """Each that was met, in order."""
        self._releases += self._new(RELEASES.name, Release)
        return [*self._releases]

    def _new(self, topic: str, kind: type[E]) -> list[E]:
        offsets = {**self._offsets.get(topic, {})}
        found = _read(self._log, topic, kind, self._bad, offsets)
        self._offsets[topic] = offsets  # not before the bad ones are put aside
        return found


def moves(log: Log) -> list[Move]:
    return Past(log).moves()


def splits(log: Log) -> list[Split]:
    return Past(log).splits()


def looks(log: Log, adapter: str, most: int) -> list[Look]:
    """The newest of one adapter's trial, as far back as the log still has them."""
    return [*islice(_looks_back(log, adapter), most)][::-1]


def since(log: Log, adapter: str) -> Watermark:
    """Nothing of its trial lies before that on the log; empty where that is not known."""
    found = (look.since for look in _looks_back(log, adapter, _STARTS) if look.since)
    return next(found, {})


def _looks_back(log: Log, adapter: str, with_word: bytes = b"") -> Iterator[Look]:
    """The newest first, to that of its start. There may be one for each second: most are passed
    over unread.
    """
    for record in _backwards(log, DECISIONS.name):
        if record.key == adapter and with_word in record.value:
            yield from (look for _, look in readable([record], (Look,)))
        if record.key == adapter and _STARTS in record.value:
            return


def _backwards(log: Log, topic: str) -> Iterator[Record]:
    """Of a topic with one partition, as far back as it is still there."""
    (end,) = log.end(topic).values()
    while end > 0:
        start = max(end - _CHUNK, 0)
        batch, at = list[Record](), start
        while at < end and (found := log.read(topic, 0, at, end - at)):
            batch += [one for one in found if one.position.offset < end]
            at = found[-1].position.offset + 1
        yield from reversed(batch)
        if not batch or batch[0].position.offset > start:  # those before it were removed
            return
        end = start


def forgets(log: Log) -> list[Forget]:
    return _read(log, FORGETS.name, Forget, leave_out, {})


def releases(log: Log) -> list[Release]:
    return Past(log).releases()


def readable(records: Iterable[Record], kinds: tuple[type[E], ...]) -> Iterator[tuple[Position, E]]:
    """The events in these, where they are any: the worker puts the others aside."""
    for record in records:
        with suppress(BadEvent):
            yield record.position, decode(record.value, kinds)


def _read(log: Log, topic: str, kind: type[E], bad: Take, offsets: dict[int, int]) -> list[E]:
    found, unread = list[E](), list[Bad]()
    for record in read_on(log, topic, offsets):
        try:
            found.append(decode(record.value, (kind,)))
        except BadEvent as error:
            unread.append(Bad(record, str(error)))
    if unread:
        bad(topic, unread)
    return found
