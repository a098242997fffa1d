"""Which way a round goes: on where one died with the same parent, plan and data, or a new one."""

import logging
from functools import partial

from trainer.adapters import published
from trainer.auto import Settled, settled
from trainer.checkpoint import Checkpoint, Mark, Saved
from trainer.course import Course, Places, digest_of, read_course
from trainer.learner import State
from trainer.plan import Plan
from trainer.sides import Tokenize

_log = logging.getLogger("trainer")


def with_method(places: Places, parent: str, plan: Plan, checkpoint: Checkpoint) -> Plan:
    """What its round is to be. One that died and may go on stays what it was to be."""
    if plan.method != "auto":
        return plan
    found = _died(places, parent, plan, checkpoint.read()) or settled(places, parent, plan)
    _log.info("method %s: %s", found.plan.method, found.why)
    if found.left_out:
        told = "left out of the plan, for %s reads none of it: %s"
        _log.warning(told, found.plan.method, ", ".join(found.left_out))
    return found.plan


def _died(places: Places, parent: str, plan: Plan, saved: Saved | None) -> Settled | None:
    if saved is None or (saved.mark.base, saved.mark.parent) != (places.base, parent):
        return None
    found = settled(places, parent, plan, saved.mark.watermark)
    same = digest_of(found.plan) == saved.mark.plan_digest
    return found if same and not _has_ended(places, saved, found.plan) else None


def choose(
    places: Places, parent: str, plan: Plan, checkpoint: Checkpoint, tokenize: Tokenize
) -> tuple[Course, State | None]:
    """Of the round that died, and where it stood; or a new one."""
    reading = partial(read_course, places, parent, plan, tokenize)
    if (saved := checkpoint.read()) is not None:
        course = reading(saved.mark.watermark)
        same = saved.mark == mark(places, course, plan)
        if same and not _has_ended(places, saved, plan):
            _log.info("goes on with a round that died, after epoch %d", saved.state.epochs)
            return course, saved.state
        _log.warning(
            "a round that died after epoch %d had another parent, plan or data, or ended; "
            "begins anew",
            saved.state.epochs,
        )
    checkpoint.clear()
    return reading(), None


def mark(places: Places, course: Course, plan: Plan) -> Mark:
    digests = digest_of(plan), course.watermark, course.items.digest
    return Mark(places.base, course.parent, *digests)


def _has_ended(places: Places, saved: Saved, plan: Plan) -> bool:
    """Its process died after it had published, and before it took its state away."""
    mark, of = saved.mark, plan.model_dump(mode="json")
    return any(
        made.created_at > saved.at
        and (made.parent, made.watermark, made.plan) == (mark.parent, mark.watermark, of)
        and made.dataset_digest == mark.dataset_digest
        for made in published(places.adapters)
    )
