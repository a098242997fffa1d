"""The method of a round whose plan leaves it to what users said."""

from typing import NamedTuple

from feedback.examples import Watermark
from trainer.advice import advice
from trainer.course import Places
from trainer.methods import DIALS, ROLLOUTS, Method
from trainer.plan import Plan


class Settled(NamedTuple):
    """The plan that the manifest tells: with a method, and of the dials those that it reads."""

    plan: Plan
    why: str
    left_out: tuple[str, ...]  # what it was told, and the method does not read


def settled(places: Places, parent: str, plan: Plan, until: Watermark | None = None) -> Settled:
    """By what was said, up to `until`."""
    told = advice(places.examples, places.adapters, parent, plan, until)
    method = told.method or "kto"  # which then tells what is missing
    unread = _unread(method)
    fields = plan.model_dump(exclude_unset=True, exclude=unread)
    left_out = tuple(sorted(plan.model_fields_set & unread))
    return Settled(Plan.model_validate(fields | {"method": method}), told.why, left_out)


def _unread(method: Method) -> set[str]:
    dials = {name for name, readers in DIALS.items() if method not in readers}
    return dials | ({"sft_weight"} if method in ROLLOUTS else set())
