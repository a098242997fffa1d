"""Completions and verdicts in any order, late, repeated or changed → settled examples. Pure.

Everything about one request, its group, is settled together, by rules that look only at what was
said, never at the order of arrival, so that every order settles to the same. docs/verdicts.md
tells the rules.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import NamedTuple

from feedback.answers import Answer
from feedback.events import GUARD, Ruling, encode
from feedback.examples import Example, Identity
from feedback.log import Position
from feedback.words import Word


class Served(NamedTuple):
    answer: Answer
    raw: bytes = b""  # as it lies on the log


class Said(NamedTuple):
    verdict: Word | Ruling
    position: Position
    raw: bytes = b""

    @property
    def user(self) -> str | None:
        return self.verdict.user if isinstance(self.verdict, Word) else self.verdict.rater


class Group(NamedTuple):
    """All that is known of one request."""

    answers: Mapping[str, Answer] = MappingProxyType({})
    said: tuple[Said, ...] = ()

    def add(self, served: Sequence[Served], said: Sequence[Said]) -> "Group":
        if not served and not said:
            return self
        answers = {**self.answers}
        for answer, _ in served:
            answers.setdefault(answer.id, answer)  # an id is never used twice
        return Group(answers, (*self.said, *said))

    def without(self, users: set[str]) -> "Group":
        if not users:
            return self
        return Group(
            {name: one for name, one in self.answers.items() if one.user not in users},
            tuple(one for one in self.said if one.user not in users),
        )


@dataclass(frozen=True)
class Join:
    span: timedelta  # a verdict that comes later after its completion does not count

    def news(self, before: Group, after: Group) -> list[Example]:
        """The examples that `after` settles and `before` did not, or did otherwise."""
        old, new = self.settle(before) if before.said else {}, self.settle(after)
        return [row for identity, row in new.items() if _differs(row, old.get(identity))]

    def settle(self, group: Group) -> dict[Identity, Example]:
        """One row for each thing that somebody said of a completion that is known."""
        holding: dict[Identity, _Spoken] = {}
        for spoken in _first_of_each_key(_words(group.said)):
            word = spoken[0]
            if _is_of_one_prompt(word, group) and not self.is_late(word, group):
                holding[_identity(word, group)] = spoken
        return {identity: _example(group, identity, *said) for identity, said in holding.items()}

    def is_late(self, word: Word, group: Group) -> bool:
        answer = group.answers.get(word.completion_id)
        return answer is not None and word.at - answer.at > self.span


def late(join: Join, group: Group, said: Iterable[Said]) -> list[Word]:
    return [word for word, _ in _words(said) if join.is_late(word, group)]


def repeats(before: Group, said: Iterable[Said]) -> list[Word]:
    """Those of them that were said before, as their keys tell."""
    words = _words(said)
    if len(words) + len(before.said) <= 1:  # as most requests have
        return []
    known, found = {_key(word) for word, _ in _words(before.said)}, []
    for word, _ in words:
        if _key(word) in known:
            found.append(word)
        known.add(_key(word))
    return found


_Spoken = tuple[Word, Position]


def _words(said: Iterable[Said]) -> list[_Spoken]:
    return [(word, position) for word, position, _ in said if isinstance(word, Word)]


def _is_of_one_prompt(word: Word, group: Group) -> bool:
    """Until all completions that it is about are known it says nothing of any.

    One request of texts may have several prompts: of answers to different ones none is better.
    """
    one = group.answers.get(word.completion_id)
    if one is None or word.other_id is None:  # as most are
        return one is not None
    other = group.answers.get(word.other_id)
    if other is None:
        return False
    return not one.prompt_ids or not other.prompt_ids or one.prompt_ids == other.prompt_ids


def _identity(word: Word, group: Group) -> Identity:
    answer = group.answers[word.completion_id]
    return Identity(answer.id, word.slot, word.user or answer.user)


def _differs(new: Example, old: Example | None) -> bool:
    if old is None:
        return not new.retracted  # nothing was said that could be taken back
    return new != old._replace(partition=new.partition, offset=new.offset)


def _key(word: Word) -> tuple[str, str]:
    return word.completion_id, word.key


def _first_of_each_key(spoken: list[_Spoken]) -> list[_Spoken]:
    """In the order in which they were said."""
    if len(spoken) <= 1:
        return spoken
    first: dict[tuple[str, str], _Spoken] = {}
    for word, position in sorted(spoken, key=_order):
        first.setdefault(_key(word), (word, position))
    return list(first.values())


def _order(spoken: _Spoken) -> tuple[object, ...]:
    word, position = spoken
    # The content breaks the last tie, so that the order of arrival never matters.
    return word.at, word.key, repr(word), position


def _ruling(group: Group, identity: Identity) -> Ruling | None:
    """The word that holds on this verdict: the latest, and a person's before the guard's."""
    rulings = [one for one, _, _ in group.said if not isinstance(one, Word)]
    if not rulings:
        return None
    about = [one for one in rulings if _speaks_of(one) == identity]
    return max(about, key=lambda one: (one.by != GUARD, one.at, encode(one)), default=None)


def _speaks_of(ruling: Ruling) -> Identity:
    return Identity(ruling.completion_id, ruling.slot, ruling.rater)


def _example(group: Group, identity: Identity, word: Word, position: Position) -> Example:
    ruling = _ruling(group, identity)
    rival = group.answers[word.other_id] if word.other_id else None
    return Example(
        *group.answers[identity.completion_id],
        slot=identity.slot,
        rater=identity.rater,
        retracted=word.retracted,
        up=word.up,
        correction=word.correction,
        value=word.value,
        winner=word.winner,
        rival_id=rival.id if rival else None,
        rival_adapter=rival.adapter if rival else None,
        rival_answer=rival.answer if rival else None,
        rival_answer_ids=rival.answer_ids if rival else None,
        rival_logprobs=rival.logprobs if rival else None,
        weight=ruling.weight if ruling else 1.0,
        ruling=f"{ruling.by}: {ruling.reason}" if ruling else None,
        verdict_key=word.key,
        judged_at=word.at,
        partition=position.partition,
        offset=position.offset,
    )
