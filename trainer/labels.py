"""What an AI said, as pairs that count less than what users said. Pure."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from trainer.batch import Text
from trainer.items import Items
from trainer.pairs import Origin, Pair
from trainer.plan import Plan
from trainer.sides import Side


class Labels(NamedTuple):
    pairs: list[tuple[Text, Text]]  # the better answer first
    counts: dict[str, int]  # each that was wanted once: a label, or why it is none


def some(prompts: Sequence[tuple[int, ...]], count: int, random: Random) -> list[tuple[int, ...]]:
    """Each once before any comes twice."""
    order = random.sample(prompts, len(prompts))
    return [order[at % len(order)] for at in range(count)]


def beside(items: Items[Any], told: Mapping[Origin, Labels], plan: Plan) -> Items[Any]:
    """With what was told, to teach; what tests stays the users'."""
    weight = _weight(items, sum(len(labels.pairs) for labels in told.values()), plan)
    pairs = [
        Pair(_side(better), _side(worse), weight, origin)
        for origin, labels in told.items()
        for better, worse in labels.pairs
    ]
    counts = dict(items.counts)
    for labels in told.values():
        counts |= labels.counts
    return items._replace(beside=pairs, counts=counts)


def _weight(items: Items[Any], labels: int, plan: Plan) -> float:
    """Each counts `ai_weight` at most, and all together so much of what users said."""
    users: float = sum(item.weight for item in (*items.train, *items.replay))
    return plan.ai_weight * min(1.0, users / max(labels, 1))


def _side(text: Text) -> Side:
    return Side("", "", text, None)  # no user was ever given it
