"""Which of several processes computes which texts: each about as many tokens. Pure."""

from collections.abc import Iterator, Sequence

from trainer.batch import Text


def deal(texts: Sequence[Text], hands: int) -> list[list[int]]:
    """The places of each hand's texts. Texts of one prompt stay together, as it is computed once.

    The largest first, each to the hand that has least: by the same rule on every process.
    """
    sizes = [len(text.prompt_ids) + len(text.answer_ids) for text in texts]
    fair = sum(sizes) / hands
    dealt: list[list[int]] = [[] for _ in range(hands)]
    loads = [0] * hands
    together = ((sum(sizes[at] for at in group), group) for group in _groups(texts, sizes, fair))
    for size, group in sorted(together, key=lambda one: -one[0]):
        hand = loads.index(min(loads))
        dealt[hand] += group
        loads[hand] += size
    return [sorted(hand) for hand in dealt]


def _groups(texts: Sequence[Text], sizes: Sequence[int], fair: float) -> Iterator[list[int]]:
    """Of one prompt each; one at a time where together they are more than a hand's share."""
    by_prompt: dict[tuple[int, ...], list[int]] = {}
    for at, text in enumerate(texts):
        by_prompt.setdefault(text.prompt_ids, []).append(at)
    for group in by_prompt.values():
        if sum(sizes[at] for at in group) <= fair:
            yield group
        else:
            yield from ([at] for at in group)
