"""Examples → rankings: answers to one prompt, ordered by all that was said of them. Pure.

A correction stands above what it corrects, an answer that was liked above one that was not, the
winner of a comparison above its rival.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from statistics import fmean

from feedback.examples import Example, Identity
from trainer.compared import compared
from trainer.items import Items, shortage_of
from trainer.orders import Order, answers_of, orders
from trainer.plan import Plan
from trainer.reserved import is_held_out
from trainer.sides import Ids, Said, Side, Tokenize, flaw, sides
from trainer.sources import Source


@dataclass(frozen=True)
class Ranking:
    answers: tuple[Side, ...]  # the best first; `reward` says how high each stands
    weight: float
    people: tuple[tuple[str, str], ...]

    def leads(self, gains: list[float]) -> list[float]:
        """Of each answer over each that stands lower."""
        ranked = zip(self.answers, gains, strict=True)
        return [
            gain - other
            for (one, gain), (two, other) in permutations(ranked, 2)
            if (one.reward or 0) > (two.reward or 0)
        ]


def make_rankings(
    fresh: list[Example], older: list[Example], *, parent: str, plan: Plan, tokenize: Tokenize
) -> Items[Ranking]:
    read, known = cache(tokenize), dict[tuple[Identity, ...], Order]()

    def group(sound: list[Example], dropped: Counter[str]) -> Iterator[Source]:
        for order in _orders(sound, read, plan, dropped):
            known[_name(order.source)] = order
            yield order.source

    def item(source: Source) -> Ranking:
        return _ranking(known[_name(source)], read, parent, plan)

    return compared(fresh, older, parent=parent, plan=plan, group=group, item=item)


def shortage_of_rankings(rankings: Items[Ranking], plan: Plan) -> str | None:
    return shortage_of("rankings", rankings, plan)


def _name(source: Source) -> tuple[Identity, ...]:
    return tuple(example.identity for example in source)


def _orders(
    sound: Sequence[Example], read: Tokenize, plan: Plan, dropped: Counter[str]
) -> Iterator[Order]:
    flaws = [None if one.slot == "thumb" else flaw(one, read, plan) for one in sound]
    dropped.update(why for why in flaws if why)
    prompts = defaultdict[tuple[Ids, bool], list[Example]](list)
    for one, why in zip(sound, flaws, strict=True):
        if not why:  # never across the hold-out
            prompts[tuple(one.prompt_ids), is_held_out(one, plan.holdout_percent)].append(one)
    for said in prompts.values():
        for part in _parts(said, read, plan.max_ranked):
            found = list(orders(part, read))
            yield from found
            left = len(part) - sum(len(order.source) for order in found)
            if left:
                dropped["no order follows from it"] += left


def _parts(said: Sequence[Example], read: Tokenize, most: int) -> Iterator[list[Example]]:
    """Of at most so many answers, the newest first, likes and dislikes in turn."""
    newest = sorted(said, key=lambda one: (one.judged_at, one.identity), reverse=True)
    seen = Counter[bool | None]()
    turns = []
    for one in newest:
        turns.append((seen[one.up], one))
        seen[one.up] += 1
    part, answers = list[Example](), set[Ids]()
    for _, one in sorted(turns, key=lambda turn: turn[0]):
        more = answers | {answer.ids for answer in answers_of(one, read)}
        if len(more) > most and part:
            yield part
            part, more = [], {answer.ids for answer in answers_of(one, read)}
        part, answers = [*part, one], more
    yield part


def _ranking(order: Order, read: Tokenize, parent: str, plan: Plan) -> Ranking:
    source = order.source
    said = [answer for example in source for answer in answers_of(example, read)]
    first: dict[Ids, Said] = {}
    for one in said:
        # Of several with the same words, one whose log-probabilities may be known.
        if one.ids not in first or (one.adapter == parent and first[one.ids].adapter != parent):
            first[one.ids] = one
    best = sorted(first.values(), key=lambda one: -order.heights[one.ids])
    heights = [float(order.heights[one.ids]) for one in best]
    return Ranking(
        answers=sides(source[0].prompt_ids, best, heights, parent, plan),
        weight=fmean(example.weight for example in source),
        people=tuple(dict.fromkeys((one.completion_id, one.user) for one in said)),
    )
