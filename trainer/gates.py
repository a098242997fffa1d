"""Checks that a candidate must pass before it may get traffic. Pure: numbers in, verdicts out.

What could not be measured does not pass.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, variance

from trainer.adapters import Estimate, GateResult
from trainer.kl import upper, within
from trainer.plan import Plan


@dataclass(frozen=True)
class Behaviour:
    """Of fresh answers to the same prompts."""

    end_rate: float  # ended by themselves
    length: float  # mean, in tokens
    n: int


@dataclass(frozen=True)
class Measured:
    """`ups`, `downs`: how much likelier than its parent the candidate finds held-out answers."""

    kept_epochs: int
    stopped: str | None
    kl_parent: Estimate
    kl_base: Estimate
    candidate: Behaviour
    parent: Behaviour
    ups: Sequence[float]
    downs: Sequence[float]


def decide(measured: Measured, plan: Plan) -> tuple[GateResult, ...]:
    return (
        _learned(measured),
        _budget("kl_parent", measured.kl_parent, plan.kl_budget_parent),
        _budget("kl_base", measured.kl_base, plan.kl_budget_base),
        _end_of_text(measured, plan),
        _length(measured, plan),
        _held_out(measured, plan),
    )


def _learned(measured: Measured) -> GateResult:
    kept = f"{measured.kept_epochs} epochs kept"
    why = f"{kept}; {measured.stopped}" if measured.stopped else kept
    return GateResult(name="learned", passed=measured.kept_epochs > 0, reason=why)


def _budget(name: str, kl: Estimate, budget: float) -> GateResult:
    found = f"at most {upper(kl):.2f} nats (95 %; mean {kl.value:.2f} of {kl.n} answers)"
    return GateResult(
        name=name, passed=within(kl, budget), reason=f"{found}, the budget is {budget:g}"
    )


def _end_of_text(measured: Measured, plan: Plan) -> GateResult:
    rate, before = measured.candidate.end_rate, measured.parent.end_rate
    return GateResult(
        name="end_of_text",
        passed=measured.candidate.n > 0 and rate >= before - plan.max_end_drop,
        reason=f"{rate:.1%} of {measured.candidate.n} answers end; the parent's {before:.1%}, "
        f"at most {plan.max_end_drop:.1%} less is allowed",
    )


def _length(measured: Measured, plan: Plan) -> GateResult:
    length, before = measured.candidate.length, measured.parent.length
    factor = plan.max_length_factor
    return GateResult(
        name="length",
        passed=measured.candidate.n > 0 and before / factor <= length <= before * factor,
        reason=f"{length:.1f} tokens on average; the parent's {before:.1f}, "
        f"a factor of {factor:g} is allowed",
    )


def _held_out(measured: Measured, plan: Plan) -> GateResult:
    """Fails only where the candidate is surely worse than chance: users' slips blur the rest."""
    ups, downs = measured.ups, measured.downs
    seen = f"{len(ups)} ups and {len(downs)} downs held out"
    if plan.min_holdout == 0:
        return GateResult(
            name="held_out", passed=True, reason=f"not asked for: min_holdout is 0 ({seen})"
        )
    if min(len(ups), len(downs)) < max(plan.min_holdout, 2):
        return GateResult(name="held_out", passed=False, reason=f"could not measure: {seen}")
    found = gap(ups, downs)
    return GateResult(
        name="held_out",
        passed=upper(found) > 0,
        reason=f"ups gained {found.value:+.2f} ± {found.stderr:.2f} nats over downs; {seen}",
    )


def gap(ups: Sequence[float], downs: Sequence[float]) -> Estimate:
    """Mean of the ups over mean of the downs, their spread taken as one: each side may be small."""
    degrees = len(ups) + len(downs) - 2
    pooled = (variance(ups) * (len(ups) - 1) + variance(downs) * (len(downs) - 1)) / degrees
    error = sqrt(pooled * (1 / len(ups) + 1 / len(downs)))
    return Estimate(value=fmean(ups) - fmean(downs), stderr=error, n=degrees + 2)


def scores(measured: Measured) -> Iterator[tuple[str, float]]:
    yield "end_rate", measured.candidate.end_rate
    yield "end_rate_parent", measured.parent.end_rate
    yield "length", measured.candidate.length
    yield "length_parent", measured.parent.length
    if min(len(measured.ups), len(measured.downs)) >= 2:
        yield "held_out_gap", gap(measured.ups, measured.downs).value
