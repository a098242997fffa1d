"""The method of a round whose plan leaves it to what users said."""

import logging

from feedback.events import BASE
from trainer.adapters import verify
from trainer.advice import advise
from trainer.course import Places
from trainer.methods import READERS, ROLLOUTS, Method
from trainer.plan import Plan
from trainer.tally import said

_log = logging.getLogger("trainer")


def settled(places: Places, parent: str, plan: Plan) -> Plan:
    """The plan that the manifest tells: with a method, and of the dials those that it reads."""
    if plan.method != "auto":
        return plan
    after = {} if parent == BASE else verify(places.adapters, parent).watermark
    advice = advise(said(places.examples, parent, after), plan.min_rows)
    method = advice.method or "kto"  # which then tells what is missing
    _log.info("method %s: %s", method, advice.why)
    told = plan.model_dump(exclude_unset=True, exclude=_unread(method)) | {"method": method}
    return Plan.model_validate(told)


def _unread(method: Method) -> set[str]:
    dials = {name for name, readers in READERS.items() if method not in readers}
    return dials | ({"sft_weight"} if method in ROLLOUTS else set())
