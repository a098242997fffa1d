"""Examples that compare answers → items to train on, to replay and to hold out. Pure.

Knows neither pairs nor rankings: which examples make one item, and which item, it is handed.
"""

from collections import Counter
from collections.abc import Callable, Iterable

from feedback.examples import Example
from trainer.items import Items, ItemT
from trainer.plan import Plan
from trainer.sides import unfit
from trainer.sources import Source, divide, sift

Group = Callable[[list[Example], Counter[str]], Iterable[Source]]


def compared(
    fresh: list[Example],
    older: list[Example],
    *,
    parent: str,
    plan: Plan,
    group: Group,
    item: Callable[[Source], ItemT],
) -> Items[ItemT]:
    """Train on what is new of the parent's answers, whatever they are compared with."""
    dropped = Counter[str]()
    new, old = sift(fresh, older, plan=plan, unfit=unfit, dropped=dropped)
    identities = {example.identity for example in new}

    def is_own(source: Source) -> bool:
        adapters = {name for one in source for name in (one.adapter, one.rival_adapter)}
        return parent in adapters and any(one.identity in identities for one in source)

    sources = list(group([*old, *new], dropped))
    own, rest = ([one for one in sources if is_own(one) == wanted] for wanted in (True, False))
    parts = divide(own, rest, plan, dropped)
    train, replay, held = ([item(source) for source in part] for part in parts)
    texts = (one.answers[0].text for one in (*train, *replay, *held))
    return Items(train, replay, held, parts.counts(texts, dropped), parts.digest)
