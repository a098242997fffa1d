"""Examples → rows as TRL's trainers read them; what is left out, and why. Pure.

Messages go through as the app sent them. Which tokens they become is the chat template's affair.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any, NamedTuple

from feedback.events import group_of
from feedback.examples import Example

Row = dict[str, Any]
Source = tuple[Example, ...]  # what one row is made of: one example, or a liked and a disliked one
_OTHER_THAN_TEXT = ("tool_calls", "function_call")  # the examples keep the text alone


class Form(StrEnum):
    """What is asked of each row: was it liked, which of two is better, what to imitate."""

    KTO = "kto"
    DPO = "dpo"
    SFT = "sft"


class Sifted(NamedTuple):
    """Every example is one of the `used`, or counted once in `dropped` with its reason."""

    sources: list[Source]
    used: int
    dropped: dict[str, int]


def sift(examples: Iterable[Example], form: Form, min_weight: float = 0.0) -> Sifted:
    """What rows can be made of, in the order of the examples."""
    sound, dropped = list[Example](), Counter[str]()
    for example in examples:
        why = _fault(example, form, min_weight)
        if why is None:
            sound.append(example)
        else:
            dropped[why] += 1
    sources: list[Source] = (
        list(_preferences(sound)) if form is Form.DPO else [(one,) for one in sound]
    )
    in_a_row = {example.identity for source in sources for example in source}
    used = sum(example.identity in in_a_row for example in sound)
    if used < len(sound):
        dropped["a thumb with no opposite on another answer"] = len(sound) - used
    return Sifted(sources, used, dict(sorted(dropped.items())))


def make_row(source: Source, form: Form) -> Row:
    example, row = source[0], _prompt(source[0])
    if form is Form.KTO:
        return row | {"completion": _said(example.answer), "label": bool(example.up)}
    if form is Form.SFT:
        return row | {"completion": _said(example.correction or example.answer)}
    chosen, rejected = _better_and_worse(source)
    return row | {"chosen": _said(chosen), "rejected": _said(rejected)}


def _fault(example: Example, form: Form, min_weight: float) -> str | None:
    if example.weight <= 0:
        return "quarantined"
    if example.withheld:
        return "withheld"
    if example.weight < min_weight:
        return "below the least weight"
    messages = json.loads(example.messages)
    if not messages or not all("role" in message for message in messages):
        return "no messages with roles"  # TRL would fail at it, or take it for plain text
    return _FAULTS[form](example)


def _kto_fault(example: Example) -> str | None:
    return "not a thumb" if example.up is None else _answer_fault(example)


def _dpo_fault(example: Example) -> str | None:
    if (example.up, example.correction, example.winner) == (None, None, None):
        return "neither a thumb, a comparison nor a correction"
    if example.winner in ("tie", "both_bad"):
        return f"no winner: {example.winner.replace('_', ' ')}"
    if example.winner and not example.rival_answer:
        return "empty answer"
    if example.up is None and len(set(_better_and_worse((example,)))) == 1:
        return "chosen and rejected are the same"
    return _answer_fault(example)


def _sft_fault(example: Example) -> str | None:
    if example.correction is not None:
        return None
    if example.up is None:
        return "neither a thumb nor a correction"
    if not example.up:
        return "not liked"
    # A chat template would put an end where there was none. None: hung up on, or failed.
    if example.finish_reason not in ("stop", *_OTHER_THAN_TEXT):
        return "cut off"
    return _answer_fault(example)


def _answer_fault(example: Example) -> str | None:
    """An answer that failed before its first word, and a bare tool call, leave an empty text."""
    if example.finish_reason in _OTHER_THAN_TEXT:
        return "a tool call"
    return None if example.answer else "empty answer"


_FAULTS = {Form.KTO: _kto_fault, Form.DPO: _dpo_fault, Form.SFT: _sft_fault}


def _preferences(sound: list[Example]) -> Iterator[Source]:
    """Whatever says by itself which is better, and all of one person's likes over dislikes."""
    disliked = defaultdict[tuple[str, ...], list[Example]](list)
    for example in sound:
        if example.up is False:
            disliked[_asked(example)].append(example)
    for example in sound:
        if example.up is None:
            yield (example,)
        elif example.up:
            others = disliked[_asked(example)]
            yield from ((example, other) for other in others if other.answer != example.answer)


def _asked(example: Example) -> tuple[str, ...]:
    """Thumbs are measured against each other where one person gave them to one request."""
    return group_of(example.completion_id), example.rater, example.messages


def _better_and_worse(source: Source) -> tuple[str, str]:
    example = source[0]
    if len(source) == 2:
        return example.answer, source[1].answer
    if example.correction is not None:
        return example.correction, example.answer
    rival = example.rival_answer or ""
    return (example.answer, rival) if example.winner == "a" else (rival, example.answer)


def _prompt(example: Example) -> Row:
    """With the tools that were offered: the model saw them, and TRL reads them as JSON."""
    tools = json.loads(example.parameters).get("tools")
    offered = {"tools": json.dumps(tools, ensure_ascii=False)} if tools else {}
    return {"prompt": json.loads(example.messages)} | offered


def _said(text: str) -> list[Row]:
    return [{"role": "assistant", "content": text}]
