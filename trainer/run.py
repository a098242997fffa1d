"""STORY. A round: choose the parent, read what users said since, train, gate, publish.

An adapter is seen whole, at the end, or not at all. A round that died goes on after its last epoch.
"""

import time
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from math import isfinite
from typing import NamedTuple

from trainer.adapters import Lesson, Manifest, claim, publish, write_lineage
from trainer.checkpoint import Checkpoint
from trainer.course import Course
from trainer.course import Places as Places
from trainer.endings import Outcome, RoundFailed
from trainer.fit import Fitted, Keep, Tell, fit
from trainer.gates import Measured, decide, scores
from trainer.held_out import held_out_scores
from trainer.learner import State
from trainer.load import load_policy
from trainer.lock import only_one
from trainer.measure import measure
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.probes import Probes, prepare
from trainer.resume import choose, mark
from trainer.rows import Rows, shortage
from trainer.training_set import logged_as_computed, training_set
from trainer.watched import Note, unheard


class Round(NamedTuple):
    outcome: Outcome
    why: str
    manifest: Manifest | None


class _Outcome(NamedTuple):
    fitted: Fitted
    measured: Measured
    logprob_gap: float


def run_round(
    places: Places, parent: str, plan: Plan, *, tell: Tell, note: Note = unheard
) -> Round:
    """One round on top of `parent`, the adapter that serves."""
    began = time.monotonic()
    with only_one(places.state):
        tell("examples and model", 0, 1)
        probes, checkpoint = prepare(places.base, plan), Checkpoint(places.state)
        course, start = choose(places, parent, plan, checkpoint)
        if too_few := shortage(course.rows, plan):
            return Round("too_few", too_few, None)
        policy = load_policy(places.base, course.folder, plan)
        tell("examples and model", 1, 1)
        keep = partial(checkpoint.save, mark(places, course, plan))
        try:
            outcome = _train(policy, course.rows, probes, tell, start, keep, note)
            _check(policy)
        except RoundFailed:
            checkpoint.clear()  # it would fail again
            raise
        folder = claim(places.adapters, places.series)  # late: a name is spent even by a crash
        policy.save(folder)
        write_lineage(folder, _lessons(course.rows))
        draft = _manifest(folder.name, places, plan, course, outcome)
        seconds = time.monotonic() - began
        manifest = publish(folder, draft.model_copy(update={"seconds": seconds}))
        checkpoint.clear()
    return _judged(manifest)


def _check(policy: Policy) -> None:
    if not policy.is_finite():
        raise RoundFailed("a weight is not finite; nothing is published")


def _train(
    policy: Policy,
    rows: Rows,
    probes: Probes,
    tell: Tell,
    start: State | None,
    keep: Keep,
    note: Note,
) -> _Outcome:
    plan = probes.plan
    trust, gap = logged_as_computed(policy, rows.train, plan)
    tell("parent's log-probabilities", 0, 1)
    data = training_set(policy, [*rows.train, *rows.replay], plan, trust=trust)
    tell("parent's log-probabilities", 1, 1)
    fitted = fit(policy, data, plan, tell=tell, start=start, keep=keep, note=note)
    tell("gates", 0, 1)
    measured = measure(policy, fitted, rows, probes, trust=trust)
    note(dict(held_out_scores(measured.ups, measured.downs)))
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
        dataset_digest=course.rows.digest,
        counts=course.rows.counts,
        gates=decide(measured, plan),
        kl={"parent": measured.kl_parent, "base": measured.kl_base},
        curves=outcome.fitted.curves,
        scores={name: value for name, value in told.items() if isfinite(value)},
        libraries={package: version(package) for package in ("torch", "transformers", "peft")},
        seconds=0.0,
    )


def _lessons(rows: Rows) -> list[Lesson]:
    return [
        *(Lesson(row.completion_id, row.user, "train") for row in rows.train),
        *(Lesson(row.completion_id, row.user, "replay") for row in rows.replay),
        *(Lesson(row.completion_id, row.user, "holdout") for row in rows.holdout),
    ]


def _judged(manifest: Manifest) -> Round:
    failed = [f"{gate.name}: {gate.reason}" for gate in manifest.gates if not gate.passed]
    if failed:
        return Round("gated", "; ".join(failed), manifest)
    return Round("published", "all gates passed", manifest)
