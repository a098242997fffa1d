"""STORY. A round: choose the parent, read what users said since, train, gate, publish.

An adapter is seen whole, at the end, or not at all. A round that died goes on after its last epoch.
"""

import logging
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from math import isfinite
from typing import Any, NamedTuple

from trainer.adapters import Lesson, Manifest, Use, claim, publish, write_lineage
from trainer.ai_feedback import AiFeedback
from trainer.asking import Ask, itself
from trainer.by_engines import by_engines
from trainer.checkpoint import Checkpoint
from trainer.course import Course
from trainer.course import Places as Places
from trainer.drafts import clear_drafts
from trainer.endings import NobodyAnswers, Outcome, RoundFailed
from trainer.fit import Fitted, Keep, fit
from trainer.fit_trl import fit_trl
from trainer.gates import Measured, decide, scores
from trainer.items import Items
from trainer.kinds import ways
from trainer.learner import State
from trainer.lessons import Renewing
from trainer.load import load_policy
from trainer.lock import only_one
from trainer.measure import measure
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.probes import Probes, prepare
from trainer.ranks import ALONE, Ranks
from trainer.reference import logged_as_computed
from trainer.resume import choose, mark, with_method
from trainer.watched import Note, Tell, Watch, unheard

_log = logging.getLogger("trainer")
_OWN = ("torch", "transformers", "peft")
_LIBRARIES = {"own": _OWN, "trl": (*_OWN, "trl")}


class Round(NamedTuple):
    outcome: Outcome
    why: str
    manifest: Manifest | None


class _Outcome(NamedTuple):
    fitted: Fitted
    measured: Measured
    logprob_gap: float


def run_round(
    places: Places,
    parent: str,
    plan: Plan,
    *,
    tell: Tell,
    note: Note = unheard,
    ranks: Ranks = ALONE,
) -> Round:
    """One round on top of `parent`, the adapter that serves. Of several processes the first
    reads, keeps and publishes.
    """
    began = time.monotonic()
    with ExitStack() as held:
        ranks.from_first(lambda: held.enter_context(only_one(places.state)))
        checkpoint = Checkpoint(places.state)
        plan = ranks.from_first(lambda: with_method(places, parent, plan, checkpoint))
        tell("examples and model", 0, 1)
        probes = prepare(places.base, plan)
        ai = AiFeedback(places, probes, tell, ranks)
        course, start = ranks.from_first(
            lambda: choose(places, parent, plan, checkpoint, probes.tokenize)
        )
        if too_few := ways(plan).shortage(course.items, plan):
            return Round("too_few", too_few, None)
        policy = load_policy(places.base, course.folder, plan, ranks)
        tell("examples and model", 1, 1)
        items, advisers = ai.heard(policy, course.items)
        course = course._replace(items=items, advisers=tuple(advisers.items()))
        keep = ranks.only_first(partial(checkpoint.save, mark(places, course, plan)))
        ask = by_engines(places.engines, places, ranks) if places.engines else itself
        try:
            outcome = _train(policy, course.items, probes, ask, Watch(tell, note), start, keep)
            _check(policy)
        except NobodyAnswers:
            raise  # what was learned so far is worth going on from
        except Exception:
            ranks.only_first(_cleared)(checkpoint, places)  # it would fail again; a kill is none
            raise
        saved = partial(_published, places, plan, course, outcome, policy)
        manifest = ranks.from_first(lambda: saved(began))
        ranks.only_first(_cleared)(checkpoint, places)
    return _judged(manifest)


def _published(
    places: Places, plan: Plan, course: Course, outcome: _Outcome, policy: Policy, began: float
) -> Manifest:
    folder = claim(places.adapters, places.series)  # late: a name is spent even by a crash
    policy.save(folder)
    write_lineage(folder, _lineage(course.items))
    _warn_of_few_steps(outcome.fitted, plan)
    draft = _manifest(folder.name, places, plan, course, outcome)
    seconds = time.monotonic() - began
    return publish(folder, draft.model_copy(update={"seconds": seconds}))


def _warn_of_few_steps(fitted: Fitted, plan: Plan) -> None:
    steps = len(fitted.curves.get("loss", ()))
    if fitted.stopped is None and 0 < steps <= plan.warmup_steps:
        _log.warning(
            "the round took %d steps, and its learning rate rises for %d (warmup_steps): little "
            "can be learned; expected more verdicts or epochs, or a smaller batch_size",
            steps,
            plan.warmup_steps,
        )


def _cleared(checkpoint: Checkpoint, places: Places) -> None:
    checkpoint.clear()
    clear_drafts(places)


def _check(policy: Policy) -> None:
    if not policy.is_finite():
        raise RoundFailed("a weight is not finite; nothing is published")


def _train(
    policy: Policy,
    items: Items[Any],
    probes: Probes,
    ask: Ask,
    watch: Watch,
    start: State | None,
    keep: Keep,
) -> _Outcome:
    plan, (tell, note) = probes.plan, watch
    new = [answer for item in items.train for answer in item.answers]
    trust, gap = logged_as_computed(policy, new, plan)
    tell("parent's log-probabilities", 0, 1)
    lessons = ways(plan).lessons(policy, items, plan, trust=trust, ask=ask)
    tell("parent's log-probabilities", 1, 1)
    if plan.backend == "trl":  # it keeps nothing to go on with
        fitted = fit_trl(policy, lessons, plan, tell=tell, note=note)
    else:
        fitted = fit(policy, lessons, plan, tell=tell, note=note, start=start, keep=keep)
    tell("gates", 0, 1)
    reward = lessons.reward if isinstance(lessons, Renewing) else None
    measured = measure(policy, fitted, items, probes, trust=trust, reward=reward)
    note({name: value for name, value in scores(measured) if name.startswith("held_out")})
    tell("gates", 1, 1)
    return _Outcome(fitted, measured, gap)


def _manifest(name: str, places: Places, plan: Plan, course: Course, outcome: _Outcome) -> Manifest:
    measured = outcome.measured
    told = dict(scores(measured)) | {"logprob_gap": outcome.logprob_gap}
    return Manifest(
        name=name,
        parent=course.parent,
        base=places.base,
        created_at=datetime.now(UTC),
        plan=plan.model_dump(mode="json"),
        watermark=course.watermark,
        dataset_digest=course.items.digest,
        counts=course.items.counts,
        advisers=dict(course.advisers),
        gates=decide(measured, plan),
        kl={"parent": measured.drift.kl_parent, "base": measured.drift.kl_base},
        curves=outcome.fitted.curves,
        scores={name: value for name, value in told.items() if isfinite(value)},
        libraries={package: version(package) for package in _LIBRARIES[plan.backend]},
        seconds=0.0,
    )


def _lineage(items: Items[Any]) -> list[Lesson]:
    """Each once: a pair may have both its answers from one completion."""
    uses: dict[Use, list[Any]] = {
        "train": items.train,
        "replay": items.replay,
        "holdout": items.holdout,
    }
    found = [
        Lesson(name, user, use)
        for use, part in uses.items()
        for item in part
        for name, user in item.people
    ]
    return list(dict.fromkeys(found))


def _judged(manifest: Manifest) -> Round:
    failed = [f"{gate.name}: {gate.reason}" for gate in manifest.gates if not gate.passed]
    if failed:
        return Round("gated", "; ".join(failed), manifest)
    return Round("published", "all gates passed", manifest)
