"""Completions and verdicts in any order, late, repeated or changed → settled examples. Pure.

Everything about one request, its group, is settled together. Of several verdicts with one key the
earliest counts; of what one person said in one slot, the latest holds. Both rules look only at what
was said, never at the order of arrival, so every order settles to the same.
"""

import json
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from feedback.events import (
    Comparison,
    Completion,
    Correction,
    Outcome,
    Retraction,
    Thumb,
    Verdict,
    encode,
)
from feedback.examples import Example, Identity
from feedback.log import Position


class Said(NamedTuple):
    verdict: Verdict
    position: Position


@dataclass(frozen=True)
class Group:
    """All that is known of one request."""

    completions: dict[str, Completion] = field(default_factory=dict)
    said: tuple[Said, ...] = ()

    def add(self, completions: list[Completion], said: list[Said]) -> "Group":
        first = {c.id: c for c in reversed(completions)}  # an id is never used twice
        return Group(first | self.completions, self.said + tuple(said))


def news(before: Group, after: Group) -> list[Example]:
    """The examples that `after` settles and `before` did not, or did otherwise."""
    old, new = settle(before), settle(after)
    return [row for identity, row in new.items() if _differs(row, old.get(identity))]


def settle(group: Group) -> dict[Identity, Example]:
    """One row for each thing that somebody said of a completion that is known."""
    holding: dict[Identity, Said] = {}
    for said in sorted(_first_of_each_key(group.said), key=_order):
        if all(name in group.completions for name in _named(said.verdict)):
            completion = group.completions[said.verdict.completion_id]
            rater = said.verdict.user or completion.user
            holding[Identity(completion.id, said.verdict.slot, rater)] = said
    return {identity: _example(group, identity, said) for identity, said in holding.items()}


def _named(verdict: Verdict) -> tuple[str, ...]:
    """The completions that it is about; until all are known it says nothing of any."""
    if isinstance(verdict, Comparison):
        return verdict.completion_id, verdict.other_id
    return (verdict.completion_id,)


def _differs(new: Example, old: Example | None) -> bool:
    if old is None:
        return not new.retracted  # nothing was said that could be taken back
    return new != replace(old, partition=new.partition, offset=new.offset)


def _first_of_each_key(said: tuple[Said, ...]) -> list[Said]:
    first: dict[tuple[str, str], Said] = {}
    for one in sorted(said, key=_order, reverse=True):
        first[one.verdict.completion_id, one.verdict.key] = one
    return list(first.values())


def _order(said: Said) -> tuple[object, ...]:
    # The content breaks the last tie, so that the order of arrival never matters.
    return (said.verdict.at, said.verdict.key, encode(said.verdict), said.position)


def _example(group: Group, identity: Identity, said: Said) -> Example:
    verdict, rival = said.verdict, None
    if isinstance(verdict, Comparison):
        rival = group.completions[verdict.other_id]
    return Example(
        **_what_was_served(group.completions[identity.completion_id]),
        **_what_was_said(verdict),
        **_rival(rival),
        slot=identity.slot,
        rater=identity.rater,
        weight=1.0,
        partition=said.position.partition,
        offset=said.position.offset,
    )


def _what_was_served(completion: Completion) -> dict[str, Any]:
    return {
        "completion_id": completion.id,
        "conversation": completion.conversation,
        "user": completion.user,
        "app": completion.app,
        "adapter": completion.adapter,
        "split_revision": completion.split_revision,
        "messages": json.dumps(completion.messages, ensure_ascii=False),
        "answer": completion.answer,
        "prompt_ids": list(completion.prompt_ids),
        "answer_ids": list(completion.answer_ids),
        "logprobs": list(completion.logprobs),
        "parameters": json.dumps(completion.parameters, ensure_ascii=False),
        "finish_reason": completion.finish_reason,
        "completed_at": completion.at,
    }


def _what_was_said(verdict: Verdict) -> dict[str, Any]:
    return {
        "retracted": isinstance(verdict, Retraction),
        "up": verdict.up if isinstance(verdict, Thumb) else None,
        "correction": verdict.text if isinstance(verdict, Correction) else None,
        "value": verdict.value if isinstance(verdict, Outcome) else None,
        "winner": verdict.winner if isinstance(verdict, Comparison) else None,
        "verdict_key": verdict.key,
        "judged_at": verdict.at,
    }


def _rival(rival: Completion | None) -> dict[str, Any]:
    return {
        "rival_id": rival.id if rival else None,
        "rival_adapter": rival.adapter if rival else None,
        "rival_answer": rival.answer if rival else None,
        "rival_answer_ids": list(rival.answer_ids) if rival else None,
        "rival_logprobs": list(rival.logprobs) if rival else None,
    }
