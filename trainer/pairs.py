"""Examples → pairs: two answers to one prompt, one of them better; what is dropped, and why. Pure.

A comparison is a pair, and so is a correction. Of thumbs two opposite ones are.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from feedback.examples import Example
from trainer.compared import compared
from trainer.items import Items, shortage_of
from trainer.opposites import opposites
from trainer.plan import Plan
from trainer.rewards import Rewards
from trainer.sides import Side, Tokenize, both, flaw, own, sides
from trainer.sources import Source

# Of the last three no user said anything: they are a reward's, a judge's, the model's own.
Origin = Literal["comparison", "correction", "thumbs", "drawn", "judge", "constitution"]


@dataclass(frozen=True)
class Pair:
    chosen: Side
    rejected: Side
    weight: float
    origin: Origin

    @property
    def answers(self) -> tuple[Side, Side]:
        return self.chosen, self.rejected

    @property
    def people(self) -> list[tuple[str, str]]:
        return [(one.completion_id, one.user) for one in self.answers if one.completion_id]

    def leads(self, gains: list[float]) -> list[float]:
        return [gains[0] - gains[1]]


def make_pairs(
    fresh: list[Example], older: list[Example], *, parent: str, plan: Plan, tokenize: Tokenize
) -> Items[Pair]:
    """The counts are of examples: two opposite thumbs are one pair."""
    read, rewards = cache(tokenize), Rewards([*older, *fresh], plan)

    def group(sound: list[Example], dropped: Counter[str]) -> Iterator[Source]:
        return _sources(sound, read, plan, dropped)

    def item(source: Source) -> Pair:
        return _pair(source, read, rewards, parent, plan)

    others = [rewards.others(part) for part in (fresh, older)]
    made = compared(*others, parent=parent, plan=plan, group=group, item=item)
    return rewards.counted(made)


def shortage_of_pairs(pairs: Items[Pair], plan: Plan) -> str | None:
    return shortage_of("pairs", pairs, plan)


def _sources(
    sound: Iterable[Example], read: Tokenize, plan: Plan, dropped: Counter[str]
) -> Iterator[Source]:
    thumbs = []
    for example in sound:
        if example.slot == "thumb":
            thumbs.append(example)
        elif why := flaw(example, read, plan):
            dropped[why] += 1
        else:
            yield (example,)
    yield from opposites(thumbs, plan, dropped)


def _pair(source: Source, read: Tokenize, rewards: Rewards, parent: str, plan: Plan) -> Pair:
    first = source[0]
    said = (own(first), own(source[1])) if first.slot == "thumb" else both(first, read)
    found = [rewards.of(one) for one in said]
    chosen, rejected = sides(first.prompt_ids, said, found, parent, plan)
    weight = min(example.weight for example in source)
    return Pair(chosen, rejected, weight, _origin(first))


def _origin(first: Example) -> Literal["comparison", "correction", "thumbs"]:
    if first.slot == "thumb":
        return "thumbs"
    return "correction" if first.correction is not None else "comparison"
