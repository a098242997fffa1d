"""Completions and verdicts in any order, late, repeated or changed → settled examples. Pure.

Everything about one request, its group, is settled together, by rules that look only at what was
said, never at the order of arrival, so that every order settles to the same. docs/verdicts.md
tells the rules.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from pydantic_core import to_json

from feedback.events import (
    GUARD,
    Comparison,
    Completion,
    Correction,
    Outcome,
    Retraction,
    Ruling,
    Thumb,
    Verdict,
    encode,
)
from feedback.examples import Example, Identity
from feedback.log import Position


class Served(NamedTuple):
    completion: Completion
    raw: bytes = b""  # as it lies on the log


class Said(NamedTuple):
    verdict: Verdict | Ruling
    position: Position
    raw: bytes = b""

    @property
    def user(self) -> str | None:
        return self.verdict.rater if isinstance(self.verdict, Ruling) else self.verdict.user


@dataclass(frozen=True)
class Group:
    """All that is known of one request."""

    completions: dict[str, Completion] = field(default_factory=dict)
    said: tuple[Said, ...] = ()

    def add(self, served: list[Served], said: list[Said]) -> "Group":
        first = {c.id: c for c, _ in reversed(served)}  # an id is never used twice
        return Group(first | self.completions, (*self.said, *said))

    def without(self, users: set[str]) -> "Group":
        if not users:
            return self
        return Group(
            {name: c for name, c in self.completions.items() if c.user not in users},
            tuple(one for one in self.said if one.user not in users),
        )


@dataclass(frozen=True)
class Join:
    span: timedelta  # a verdict that comes later after its completion does not count

    def news(self, before: Group, after: Group) -> list[Example]:
        """The examples that `after` settles and `before` did not, or did otherwise."""
        old, new = self.settle(before), self.settle(after)
        return [row for identity, row in new.items() if _differs(row, old.get(identity))]

    def settle(self, group: Group) -> dict[Identity, Example]:
        """One row for each thing that somebody said of a completion that is known."""
        holding: dict[Identity, _Word] = {}
        for verdict, position in _first_of_each_key(_verdicts(group.said)):
            if _all_known(verdict, group) and not self.is_late(verdict, group):
                holding[_identity(verdict, group)] = _Word(verdict, position)
        return {identity: _example(group, identity, word) for identity, word in holding.items()}

    def is_late(self, verdict: Verdict, group: Group) -> bool:
        completion = group.completions.get(verdict.completion_id)
        return completion is not None and verdict.at - completion.at > self.span


def late(join: Join, group: Group, said: list[Said]) -> list[Verdict]:
    return [verdict for verdict, _ in _verdicts(said) if join.is_late(verdict, group)]


def repeats(before: Group, said: list[Said]) -> list[Verdict]:
    """Those of them that were said before, as their keys tell."""
    known = {_key(word) for word in _verdicts(before.said)}
    found = []
    for word in _verdicts(said):
        if _key(word) in known:
            found.append(word.verdict)
        known.add(_key(word))
    return found


def _all_known(verdict: Verdict, group: Group) -> bool:
    """Until all completions that it is about are known it says nothing of any."""
    other = verdict.other_id if isinstance(verdict, Comparison) else verdict.completion_id
    return verdict.completion_id in group.completions and other in group.completions


def _identity(verdict: Verdict, group: Group) -> Identity:
    completion = group.completions[verdict.completion_id]
    return Identity(completion.id, verdict.slot, verdict.user or completion.user)


def _differs(new: Example, old: Example | None) -> bool:
    if old is None:
        return not new.retracted  # nothing was said that could be taken back
    return new != old._replace(partition=new.partition, offset=new.offset)


class _Word(NamedTuple):
    verdict: Verdict
    position: Position


def _verdicts(said: Iterable[Said]) -> list[_Word]:
    return [_Word(v, position) for v, position, _ in said if isinstance(v, Verdict)]


def _key(word: _Word) -> tuple[str, str]:
    return word.verdict.completion_id, word.verdict.key


def _first_of_each_key(words: list[_Word]) -> list[_Word]:
    """In the order in which they were said."""
    if len(words) <= 1:  # as most requests have
        return words
    first: dict[tuple[str, str], _Word] = {}
    for word in sorted(words, key=_order):
        first.setdefault(_key(word), word)
    return list(first.values())


def _order(word: _Word) -> tuple[object, ...]:
    # The content breaks the last tie, so that the order of arrival never matters.
    return (word.verdict.at, word.verdict.key, encode(word.verdict), word.position)


def _ruling(group: Group, identity: Identity) -> Ruling | None:
    """The word that holds on this verdict: the latest, and a person's before the guard's."""
    rulings = [one.verdict for one in group.said if isinstance(one.verdict, Ruling)]
    about = [one for one in rulings if _speaks_of(one) == identity]
    return max(about, key=lambda one: (one.by != GUARD, one.at, encode(one)), default=None)


def _speaks_of(ruling: Ruling) -> Identity:
    return Identity(ruling.completion_id, ruling.slot, ruling.rater)


def _example(group: Group, identity: Identity, word: _Word) -> Example:
    verdict, ruling = word.verdict, _ruling(group, identity)
    completion, rival = group.completions[identity.completion_id], None
    if isinstance(verdict, Comparison):
        rival = group.completions[verdict.other_id]
    return Example(
        completion_id=completion.id,
        conversation=completion.conversation,
        user=completion.user,
        app=completion.app,
        adapter=completion.adapter,
        parent=completion.parent,
        split_revision=completion.split_revision,
        messages=to_json(completion.messages).decode(),
        answer=completion.answer,
        prompt_ids=list(completion.prompt_ids),
        answer_ids=list(completion.answer_ids),
        logprobs=list(completion.logprobs),
        parameters=to_json(completion.parameters).decode(),
        finish_reason=completion.finish_reason,
        completed_at=completion.at,
        slot=identity.slot,
        rater=identity.rater,
        retracted=isinstance(verdict, Retraction),
        up=verdict.up if isinstance(verdict, Thumb) else None,
        correction=verdict.text if isinstance(verdict, Correction) else None,
        value=verdict.value if isinstance(verdict, Outcome) else None,
        winner=verdict.winner if isinstance(verdict, Comparison) else None,
        rival_id=rival.id if rival else None,
        rival_adapter=rival.adapter if rival else None,
        rival_answer=rival.answer if rival else None,
        rival_answer_ids=list(rival.answer_ids) if rival else None,
        rival_logprobs=list(rival.logprobs) if rival else None,
        weight=ruling.weight if ruling else 1.0,
        ruling=f"{ruling.by}: {ruling.reason}" if ruling else None,
        verdict_key=verdict.key,
        judged_at=verdict.at,
        partition=word.position.partition,
        offset=word.position.offset,
    )
