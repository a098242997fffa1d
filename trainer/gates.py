"""Checks that a candidate must pass before it may get traffic. Pure: numbers in, verdicts out.

What could not be measured does not pass. Those of its answers are in behaviour.py, those of its
taste in held_out.py, those of the operator's golden prompts in golden_gates.py, the watch over a
learned reward in hacking.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from trainer.adapters import Estimate, GateResult
from trainer.behaviour import Behaviour, behaviour_gates, behaviour_scores
from trainer.golden_gates import GoldenMeasured, golden_gates, golden_scores
from trainer.hacking import Weighed, hacking_gates, hacking_scores
from trainer.held_out import HeldOut, held_out_gates, held_out_scores
from trainer.kl import Drift, upper, within
from trainer.plan import Plan


@dataclass(frozen=True)
class Measured:
    kept_epochs: float
    stopped: str | None
    drift: Drift
    candidate: Behaviour
    parent: Behaviour
    held_out: HeldOut
    golden: GoldenMeasured | None  # None: the plan names no file
    weighed: Weighed | None = None  # None: the method has no reward model


def decide(measured: Measured, plan: Plan) -> tuple[GateResult, ...]:
    """Where no epoch was kept, the candidate is its parent: there is nothing else to ask."""
    learned, drift, weighed = _learned(measured, plan), measured.drift, measured.weighed
    if not measured.kept_epochs:
        return (learned,)
    return (
        learned,
        _budget("kl_parent", drift.kl_parent, plan.kl_budget_parent),
        _budget("kl_base", drift.kl_base, plan.kl_budget_base),
        *behaviour_gates(measured.candidate, measured.parent, plan),
        *held_out_gates(measured.held_out, plan),
        *(golden_gates(measured.golden, plan) if measured.golden else ()),
        *(hacking_gates(weighed, drift.kl_parent, measured.held_out, plan) if weighed else ()),
    )


def _learned(measured: Measured, plan: Plan) -> GateResult:
    """By k3: near the parent k1's noise is many times what it measures."""
    kept, moved = measured.kept_epochs, measured.drift.kl_parent_k3
    told = [f"{kept:g} epoch{'' if kept == 1 else 's'} kept"]
    if twin := kept > 0 and moved.n >= 2 and upper(moved) < plan.min_kl_parent:
        told.append(
            f"it answers as its parent does, {upper(moved):.2g} nats from it; expected "
            f"{plan.min_kl_parent:g} (min_kl_parent): users could not tell them apart"
        )
    told += [measured.stopped] if measured.stopped else []
    return GateResult(name="learned", passed=kept > 0 and not twin, reason="; ".join(told))


def _budget(name: str, kl: Estimate, budget: float) -> GateResult:
    found = f"at most {upper(kl):z.2f} nats (95 %; mean {kl.value:z.2f} of {kl.n} answers)"
    return GateResult(
        name=name, passed=within(kl, budget), reason=f"{found}, the budget is {budget:g}"
    )


def scores(measured: Measured) -> Iterator[tuple[str, float]]:
    yield "kept_epochs", measured.kept_epochs
    others = ("kl_parent_k2", "kl_parent_k3", "kl_base_k2", "kl_base_k3")
    yield from ((name, getattr(measured.drift, name).value) for name in others)
    yield from behaviour_scores(measured.candidate, measured.parent)
    yield from held_out_scores(measured.held_out)
    if measured.golden:
        yield from golden_scores(measured.golden)
    if measured.weighed:
        yield from hacking_scores(measured.weighed, measured.drift.kl_parent)
