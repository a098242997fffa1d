"""What withdraws a canary whatever its users say, and what cannot be told. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Literal, NamedTuple, get_args

from ops.drift import LEAST_ANSWERS
from ops.evidence import Pair, gain
from ops.ratio import mismatch
from ops.seen import Observation
from ops.served import USUAL, Served
from ops.tally import Tally

Guardrail = Literal[
    "errors", "not_loaded", "refusals", "latency", "length", "kl", "sample_ratio", "query"
]
GUARDRAILS: tuple[Guardrail, ...] = get_args(Guardrail)
# How often one of them may be crossed by chance, in one step and on one side. They are looked at
# beside the verdicts, so they have little of what those have.
_ALPHA = 0.005


@dataclass(frozen=True)
class Limits:
    """Of the canary, beside stable at the same time."""

    error_rate: float = 0.05  # more than stable's
    refusal_rate: float = 0.05  # more than stable's
    latency_ratio: float = 1.5  # 95th percentile of whole answers
    length_ratio: float = 2.0  # longer or shorter
    not_loaded: int = 3  # answers that no engine could give as this adapter
    kl_stable: float | None = 5.0  # nats an answer
    kl_base: float | None = 20.0
    score_seconds: float = 900.0  # an older score says nothing of now


class Crossed(NamedTuple):
    guardrail: Guardrail
    told: str


_Found = Iterator[Crossed]


def crossed(limits: Limits, seen: Observation) -> _Found:
    """The most telling first."""
    canary, stable = seen.canary.step, seen.stable.step
    if canary.not_loaded >= limits.not_loaded:
        yield Crossed("not_loaded", f"no engine could load it for {canary.not_loaded} answers")
    yield from _more("errors", canary.error, stable.error, limits.error_rate)
    yield from _more("refusals", canary.refusal, stable.refusal, limits.refusal_rate)
    yield from _slower(canary, stable)
    yield from _other_length(canary, stable, limits.length_ratio)
    yield from _far(limits, seen)
    found = mismatch(seen.newcomers, _ALPHA)
    if found.found:
        users = " and ".join(f"{one.canary} of {one.canary + one.stable}" for one in seen.newcomers)
        shares = " and ".join(f"{one.share:.0%}" for one in seen.newcomers)
        yield Crossed("sample_ratio", f"it got {users} users, where its share was {shares}")
    for one in seen.queried:
        if one.value is not None and one.value > one.most:
            yield Crossed("query", f"{one.name} is {one.value:g}, at most {one.most:g} is allowed")


def unknown(limits: Limits, seen: Observation) -> Iterator[str]:
    """What must be known before a canary gets more."""
    for one in seen.queried:
        if one.value is None:
            yield f"Prometheus does not say what {one.name} is: {one.why}"
    for to, budget in _budgets(limits):
        if budget is None:
            continue
        if to not in seen.drifts:
            yield (
                f"{seen.scored} live answers are scored, {LEAST_ANSWERS} tell its KL to {to} "
                f"(`python -m trainer.score` does; ops_max_kl_{to}=none goes without)"
            )
        elif seen.score_seconds is None or seen.score_seconds > limits.score_seconds:
            yield f"the newest score of its answers is {seen.score_seconds or 0:.0f} s old"


def _more(of: Guardrail, canary: Tally, stable: Tally, most: float) -> _Found:
    """Against stable's: while the engine itself is away, both arms fail alike."""
    found = gain([Pair(canary, stable)], _ALPHA)
    if found.low > 0 and found.estimate > most:
        told = f"{canary.total:g}/{canary.n} against {stable.total:g}/{stable.n}"
        yield Crossed(of, f"{100 * found.estimate:+.1f} points, {told}")


def _slower(canary: Served, stable: Served) -> _Found:
    """Whether more than one in twenty is slow, and of stable's surely fewer."""
    slow = canary.slow
    found = gain([Pair(slow, stable.slow)], _ALPHA)
    if found.low > 0 and slow.total > (1 - USUAL) * slow.n:
        p95, usual = (one.waits.percentile(USUAL) for one in (canary, stable))
        told = f"p95 {p95:.2f} s against {usual:.2f} s"
        yield Crossed("latency", f"{told}, {slow.total:g} of {slow.n} slower")


def _other_length(canary: Served, stable: Served, ratio: float) -> _Found:
    found = gain([Pair(canary.length, stable.length)], _ALPHA)
    if abs(found.estimate) > log(ratio) and (found.low > 0 or found.high < 0):
        yield Crossed("length", f"its answers have {exp(found.estimate):.2f} times the tokens")


def _far(limits: Limits, seen: Observation) -> _Found:
    for to, budget in _budgets(limits):
        drift = seen.drifts.get(to)
        if budget is not None and drift and drift.low > budget:
            told = f"{drift.estimate:.2f} nats an answer to {to} ({drift.low:.2f} at least)"
            yield Crossed("kl", f"{told}, of {drift.answers} answers; the budget is {budget:g}")


def _budgets(limits: Limits) -> Sequence[tuple[str, float | None]]:
    return (("stable", limits.kl_stable), ("base", limits.kl_base))
