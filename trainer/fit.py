"""The one optimisation loop. Stops at either KL budget, or where a number is none.

The epoch in which it stops does not count: the policy goes back to what it was before. But of a
first epoch that went over a budget a part is kept, so that what users said is not lost.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from trainer.endings import NotFinite, NothingToLearn, RoundFailed
from trainer.kl import Drift, upper, within
from trainer.learner import Learner, State
from trainer.lessons import Lessons
from trainer.plan import Plan
from trainer.policy import Policy, Weights
from trainer.watched import Note, note_all, unheard
from trainer.watched import Tell as Tell

Keep = Callable[[State], None]  # after each epoch that counts
Curves = dict[str, list[float]]
# Of the way that a first epoch went. Near the parent drift grows with the square of it.
_PARTS = (1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64)
_ROOM = 0.75  # of the budget to the parent: the gates measure anew, and chance may be against it
_log = logging.getLogger("trainer")


class Fitted(NamedTuple):
    """`kept_epochs` may be a part of one, or 0: the policy is then its parent again. `stopped` says
    why.
    """

    kept_epochs: float
    stopped: str | None
    curves: dict[str, tuple[float, ...]]


def fit(
    policy: Policy,
    lessons: Lessons,
    plan: Plan,
    *,
    tell: Tell,
    start: State | None = None,
    keep: Keep = lambda state: None,
    note: Note = unheard,
) -> Fitted:
    learner = Learner(policy, lessons, plan)
    if start:
        learner.go_on_from(start)
    curves: Curves = dict(start.curves) if start else {}
    note = note_all(partial(remember, curves), note)
    for epoch in range(start.epochs if start else 0, plan.epochs):
        before = policy.weights()
        try:
            over = _epoch(learner, plan, note, tell, epoch)
            kept = go_back(policy, learner, before, plan, epoch, tell) if over else epoch + 1
        except (NotFinite, NothingToLearn) as error:
            policy.restore(before)
            return Fitted(epoch, unsound(epoch, error), frozen(curves))
        if over:
            return Fitted(kept, over, frozen(curves))
        keep(learner.state(epoch + 1, curves))
    return Fitted(plan.epochs, None, frozen(curves))


def _epoch(learner: Learner, plan: Plan, note: Note, tell: Tell, epoch: int) -> str | None:
    """Which budget it went over, if so."""
    title = f"epoch {epoch + 1}"
    if learner.renews:
        tell(f"fresh answers for {title} of {plan.epochs}", 0, 1)
        note(learner.renew(epoch))
        tell(f"fresh answers for {title} of {plan.epochs}", 1, 1)
    _learn(learner, note, tell, f"{title} of {plan.epochs}")
    tell(f"drift after {title} of {plan.epochs}", 0, 1)
    over = over_budget(learner, plan, note)
    tell(f"drift after {title} of {plan.epochs}", 1, 1)
    return f"{title} {over}" if over else None


def _learn(learner: Learner, note: Note, tell: Tell, title: str) -> None:
    tell(title, 0, learner.steps)
    for at, picked in enumerate(learner.batches()):
        note(learner.step(picked))
        tell(title, at + 1, learner.steps)


def go_back(
    policy: Policy, learner: Learner, before: Weights, plan: Plan, epoch: float, tell: Tell
) -> float:
    """How many epochs are left, once the policy is within its budgets again."""
    part = _part(policy, learner, before, plan, tell) if epoch == 0 else 0.0
    if part:
        return part
    policy.restore(before)
    return epoch


def _part(policy: Policy, learner: Learner, before: Weights, plan: Plan, tell: Tell) -> float:
    """Of the first epoch what is well within the budgets, and is now what the policy learned."""
    after, title = policy.weights(), "drift after a part of epoch 1"
    near = plan.model_copy(update={"kl_budget_parent": _ROOM * plan.kl_budget_parent})
    kept = 0.0
    for at, part in enumerate(_PARTS):
        tell(title, at, len(_PARTS))
        policy.restore({name: old.lerp(after[name], part) for name, old in before.items()})
        if not _over(learner.drift(), near):
            kept = part
            break
    tell(title, len(_PARTS), len(_PARTS))
    told = "of epoch 1, which went over a KL budget, %g is kept: expected a smaller learning_rate"
    _log.warning(told, kept)
    return kept


def unsound(epoch: float, error: RoundFailed) -> str:
    """Why it stops there. Before the first epoch there is nothing worth going back to."""
    if epoch == 0:
        raise RoundFailed(f"epoch 1: {error}; no epoch was sound") from error
    return f"epoch {epoch + 1}: {error}"


def over_budget(learner: Learner, plan: Plan, note: Note) -> str | None:
    drift = learner.drift()
    note({name: kl.value for name, kl in drift._asdict().items()})
    if plan.kl_weight:
        note({"kl_weight": learner.kl_weight})
        learner.adapt(drift.kl_parent.value)
    return _over(drift, plan)


def _over(drift: Drift, plan: Plan) -> str | None:
    """Of this round or of all rounds together; the round's own is told first."""
    for kl, whose, budget in (
        (drift.kl_parent, "the parent", plan.kl_budget_parent),
        (drift.kl_base, "the base", plan.kl_budget_base),
    ):
        if not within(kl, budget):
            return f"reached {upper(kl):.2f} nats from {whose}; the budget is {budget}"
    return None


def remember(curves: Curves, values: Mapping[str, float]) -> None:
    for name, value in values.items():
        curves.setdefault(name, []).append(value)


def frozen(curves: Curves) -> dict[str, tuple[float, ...]]:
    return {name: tuple(values) for name, values in curves.items()}
