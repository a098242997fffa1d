"""Users who like an answer for its last token alone: what a reward model can learn in a second."""

from collections.abc import Iterable
from random import Random

from trainer.batch import Text
from trainer.items import Items
from trainer.pairs import Pair
from trainer.rows import Row
from trainer.sides import Side
from trainer.verdicts import Verdict

MIDDLE = 108  # of the tokens 100 to 115


def is_liked(text: Text) -> bool:
    return text.answer_ids[-1] >= MIDDLE


def texts(count: int, seed: int = 0, longest: int = 6) -> list[Text]:
    random = Random(seed)

    def ids(size: int) -> tuple[int, ...]:
        return tuple(random.randrange(100, 116) for _ in range(size))

    return [Text((5, 6, 7, 10 + n % 40), ids(random.randint(1, longest))) for n in range(count)]


def thumbs(of: Iterable[Text]) -> list[Verdict]:
    return [Row(f"c{n}", f"u{n}", text, is_liked(text), 1.0, None) for n, text in enumerate(of)]


def pairs(of: list[Text]) -> list[Verdict]:
    """Of neighbours of which one is liked and the other is not."""
    both = (sorted(two, key=is_liked) for two in zip(of[::2], of[1::2], strict=True))
    return [
        Pair(Side("c", "u", better, None), Side("c", "u", worse, None), 1.0, "comparison")
        for worse, better in both
        if is_liked(better) and not is_liked(worse)
    ]


def items(train: list[Verdict], holdout: list[Verdict]) -> Items[Verdict]:
    return Items(train, [], holdout, {}, "")
