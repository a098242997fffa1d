"""Thumbs → an up and a down on one prompt, each answer used once, the newest first. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain

from feedback.examples import Example
from trainer.plan import Plan
from trainer.reserved import is_held_out
from trainer.sources import Source

_Ids = tuple[int, ...]
_Answers = dict[bool, set[_Ids]]  # the liked ones, and the others


def opposites(thumbs: Iterable[Example], plan: Plan, dropped: Counter[str]) -> Iterator[Source]:
    """Up and down, in whatever order the thumbs come. Never across the hold-out.

    A held-out user's answer would be trained on, or another's would test what it taught.
    """
    newest_first = sorted(thumbs, key=lambda one: (one.judged_at, one.identity), reverse=True)
    prompts = defaultdict[_Ids, tuple[list[Example], list[Example]]](lambda: ([], []))
    for thumb in newest_first:
        held = is_held_out(thumb, plan.holdout_percent)
        prompts[tuple(thumb.prompt_ids)][held].append(thumb)
    for sides in prompts.values():
        near, far = map(_answers, sides)
        for side, own, other in ((sides[0], near, far), (sides[1], far, near)):
            pairs = list(_matched(side, own))
            yield from pairs
            paired = {one.identity for one in chain(*pairs)}
            dropped.update(_why(one, own, other) for one in side if one.identity not in paired)


def _answers(side: list[Example]) -> _Answers:
    return {up: {tuple(one.answer_ids) for one in side if one.up is up} for up in (True, False)}


def _matched(side: list[Example], answers: _Answers) -> Iterator[Source]:
    """Two people may say opposite things of one answer: it is no pair with itself."""
    used = set[str]()
    downs = [one for one in side if not one.up]
    for up in (one for one in side if one.up and _has_opposite(one, answers)):
        if up.completion_id in used:
            continue
        for at, down in enumerate(downs):
            if down.completion_id not in used and [*down.answer_ids] != [*up.answer_ids]:
                used |= {up.completion_id, down.completion_id}
                yield up, downs.pop(at)
                break


def _why(thumb: Example, own: _Answers, other: _Answers) -> str:
    if _has_opposite(thumb, other) and not _has_opposite(thumb, own):
        return "the opposite thumb is across the hold-out"
    return "no opposite thumb is left on another answer"


def _has_opposite(thumb: Example, answers: _Answers) -> bool:
    opposite = answers[not thumb.up]
    return len(opposite) > (tuple(thumb.answer_ids) in opposite)
