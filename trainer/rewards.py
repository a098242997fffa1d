"""Outcomes as rewards of answers: those that the plan names, the newest of each answer. Pure."""

from collections import Counter
from collections.abc import Iterable
from hashlib import sha256

from feedback.events import outcome_slot
from feedback.examples import Example, digest
from trainer.items import Items, ItemT
from trainer.plan import Plan
from trainer.sides import Said


class Rewards:
    def __init__(self, examples: Iterable[Example], plan: Plan) -> None:
        """`examples`: in the order in which they settled."""
        self._slot = outcome_slot(plan.reward_outcome) if plan.reward_outcome else None
        self._told = [one for one in examples if one.slot == self._slot]
        self._newest = {one.completion_id: one for one in self._told if self._counts(one)}

    def others(self, examples: Iterable[Example]) -> list[Example]:
        return [one for one in examples if one.slot != self._slot]

    def of(self, said: Said) -> float | None:
        """A correction has the id of what it corrects, and no outcome."""
        told = self._newest.get(said.completion_id) if said.adapter is not None else None
        return told.value if told else None

    def counted(self, made: Items[ItemT]) -> Items[ItemT]:
        """The same items; each outcome is used, or dropped once."""
        if not self._told:
            return made
        items = (*made.train, *made.replay, *made.holdout)
        answered = {name for item in items for name, _ in item.people}
        used = [one for name, one in self._newest.items() if name in answered]
        found = Counter(self._fate(one, answered) for one in self._told)
        counts = made.counts | {why: n + made.counts.get(why, 0) for why, n in found.items()}
        both = sha256(f"{made.digest}{digest(used)}".encode()).hexdigest()
        return made._replace(counts=counts, digest=both)

    def _fate(self, told: Example, answered: set[str]) -> str:
        if not self._counts(told):
            return "dropped: quarantined" if told.weight <= 0 else "dropped: an outcome of no value"
        if self._newest[told.completion_id] is not told:
            return "dropped: an earlier outcome"
        return "rewards" if told.completion_id in answered else "dropped: an outcome of no pair"

    def _counts(self, told: Example) -> bool:
        return told.weight > 0 and told.value is not None
