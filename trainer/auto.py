"""The method of a round whose plan leaves it to what users said."""

import logging

from feedback.examples import Watermark
from trainer.advice import advice
from trainer.course import Places
from trainer.methods import DIALS, ROLLOUTS, Method
from trainer.plan import Plan

_log = logging.getLogger("trainer")


def settled(places: Places, parent: str, plan: Plan, until: Watermark | None = None) -> Plan:
    """The plan that the manifest tells: with a method, and of the dials those that it reads.

    `until`: so far a round that died had read; what it was to be depends on no more.
    """
    if plan.method != "auto":
        return plan
    told = advice(places.examples, places.adapters, parent, plan, until)
    method = told.method or "kto"  # which then tells what is missing
    _log.info("method %s: %s", method, told.why)
    fields = plan.model_dump(exclude_unset=True, exclude=_unread(method))
    return Plan.model_validate(fields | {"method": method})


def _unread(method: Method) -> set[str]:
    dials = {name for name, readers in DIALS.items() if method not in readers}
    return dials | ({"sft_weight"} if method in ROLLOUTS else set())
