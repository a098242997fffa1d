"""What was said of the answers to one prompt → which is better than which. Pure.

Answers that nothing connects are in groups of their own. Where verdicts go round in a circle no
order follows, nor where as many say the one as the other.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from feedback.examples import Example
from trainer.sides import Ids, Said, Tokenize, both, own
from trainer.sources import Source

_Edge = tuple[Ids, Ids]  # the better, the worse


class Order(NamedTuple):
    source: Source  # those whose word it is
    heights: dict[Ids, int]  # above the worst answer: each is higher than all that it beats


def orders(said: Sequence[Example], read: Tokenize) -> Iterator[Order]:
    """Of all to one prompt."""
    support = _support(said, read)
    for edges in _connected(list(support)):
        heights = _heights(edges)
        if heights:
            words = {one.identity for edge in edges for one in support[edge]}
            yield Order(tuple(one for one in said if one.identity in words), heights)


def answers_of(example: Example, read: Tokenize) -> tuple[Said, ...]:
    return (own(example),) if example.slot == "thumb" else both(example, read)


def _support(said: Sequence[Example], read: Tokenize) -> dict[_Edge, list[Example]]:
    """By whom each order holds; what compares two answers outranks thumbs on both."""
    told = defaultdict[_Edge, list[Example]](list)
    for one in said:
        if one.slot != "thumb":
            better, worse = both(one, read)
            told[better.ids, worse.ids].append(one)
    found = {edge: ones for edge, ones in told.items() if _sum(ones) > _sum(told.get(edge[::-1]))}
    liked, disliked = _thumbs(said)
    for up, ups in liked.items():
        for down, downs in disliked.items():
            if (up, down) not in told and (down, up) not in told:
                found[up, down] = ups + downs
    return found


def _thumbs(said: Sequence[Example]) -> tuple[dict[Ids, list[Example]], dict[Ids, list[Example]]]:
    """Of each answer those who outweigh the others."""
    votes = defaultdict[Ids, tuple[list[Example], list[Example]]](lambda: ([], []))
    for one in said:
        if one.slot == "thumb":
            votes[tuple(one.answer_ids)][not one.up].append(one)
    liked = {ids: ups for ids, (ups, downs) in votes.items() if _sum(ups) > _sum(downs)}
    disliked = {ids: downs for ids, (ups, downs) in votes.items() if _sum(downs) > _sum(ups)}
    return liked, disliked


def _sum(examples: Sequence[Example] | None) -> float:
    return sum(one.weight for one in examples or ())


def _connected(edges: Sequence[_Edge]) -> list[list[_Edge]]:
    groups: list[tuple[set[Ids], list[_Edge]]] = []
    for edge in edges:
        near = [group for group in groups if group[0] & {*edge}]
        joined = {*edge}.union(*(ids for ids, _ in near))
        more = [one for _, ones in near for one in ones]
        groups = [group for group in groups if group not in near] + [(joined, [*more, edge])]
    return [ones for _, ones in groups]


def _heights(edges: Sequence[_Edge]) -> dict[Ids, int]:
    """Empty where they go round in a circle."""
    beaten = defaultdict[Ids, set[Ids]](set)
    for better, worse in edges:
        beaten[better].add(worse)
    heights = Counter[Ids]()
    try:
        for ids in TopologicalSorter(beaten).static_order():
            heights[ids] = max((heights[worse] + 1 for worse in beaten.get(ids, ())), default=0)
    except CycleError:
        return {}
    return dict(heights)
