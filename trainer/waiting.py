"""How many lessons a method could make of examples, roughly and quickly. Pure. Knows no torch."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from feedback.examples import Example
from trainer.methods import KINDS, Method
from trainer.reserved import is_held_out

NAMES = {
    "thumbs": "thumbs",
    "pairs": "pairs",
    "lists": "rankings",
    "verdicts": "verdicts",
}  # by kind


class Seen(NamedTuple):
    """What counting needs of an example."""

    adapters: tuple[str, ...]
    prompt: int
    up: bool | None  # None: it compares two answers by itself
    held: bool = False  # it is to test on, not to learn from


def seen(row: Example, holdout_percent: float) -> Seen | None:
    """None where nothing could be learned from it."""
    compares = row.correction is not None or row.winner in ("a", "b")
    if row.retracted or row.weight <= 0 or row.withheld or not row.answer_ids:
        return None
    if row.slot == "thumb" or compares:
        adapters = (row.adapter, row.rival_adapter) if row.rival_adapter else (row.adapter,)
        return Seen(
            adapters,
            hash(tuple(row.prompt_ids)),
            None if compares else row.up,
            is_held_out(row, holdout_percent),
        )
    return None


def name_of(method: Method) -> str:
    if method == "auto":
        return NAMES["verdicts"]
    return "liked answers" if method == "sft" else NAMES[KINDS[method]]


def count(method: Method, found: Iterable[Seen]) -> int:
    sides = Counter((one.prompt, one.up) for one in found)
    if method == "sft":
        return sum(n for (_, up), n in sides.items() if up)
    if method == "auto" or KINDS[method] == "verdicts":
        return sides.total()
    if method == "kto":
        return sum(n for (_, up), n in sides.items() if up is not None)
    prompts = {prompt for prompt, _ in sides}
    opposite = {prompt: min(sides[prompt, True], sides[prompt, False]) for prompt in prompts}
    if KINDS[method] == "pairs":
        return sum(sides[prompt, None] + opposite[prompt] for prompt in prompts)
    return sum(1 for prompt in prompts if sides[prompt, None] + opposite[prompt])
