"""What a round learns from, whichever its method: items of one answer, or of several to one prompt.

Pure.
"""

from collections.abc import Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from trainer.batch import Text
from trainer.plan import Plan
from trainer.reserved import few_held
from trainer.sources import scarce


class Logged(Protocol):
    """An answer. `logprobs`: the parent's, of each token; None where the log does not know them."""

    @property
    def text(self) -> Text: ...

    @property
    def logprobs(self) -> tuple[float, ...] | None: ...


class Item(Protocol):
    @property
    def answers(self) -> Sequence[Logged]:
        """To one prompt, and no two of them the same."""

    @property
    def people(self) -> Sequence[tuple[str, str]]:
        """Whom it is from: completion ids, each with a user."""


ItemT = TypeVar("ItemT", bound=Item)


class Items(NamedTuple, Generic[ItemT]):
    """The counts are of examples, each used or dropped once; `shortened` are among the used."""

    train: list[ItemT]
    replay: list[ItemT]
    holdout: list[ItemT]
    counts: dict[str, int]
    digest: str
    beside: Sequence[ItemT] = ()  # no user's, an AI's: they teach, and are in no gate or lineage


def shortage_of(name: str, items: Items[ItemT], plan: Plan) -> str | None:
    """Why these are not worth a round: it would learn little, or could not be judged."""
    lessons = [tuple(one.text for one in item.answers) for item in items.train]
    few = few_held(len(items.holdout), name, plan.min_holdout)
    return scarce(name, lessons, plan) or few
