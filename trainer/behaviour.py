"""How a candidate answers beside its parent: endings, length, loops, scripts. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trainer.adapters import GateResult
from trainer.degenerate import distance
from trainer.plan import Plan


@dataclass(frozen=True)
class Behaviour:
    """Of fresh answers to the same prompts."""

    end_rate: float  # ended by themselves
    length: float  # mean, in tokens
    repeated: float  # mean share of 4-grams that came before
    degenerate: float  # share that says nothing
    scripts: Mapping[str, float] | None  # mean shares; None: no tokenizer to read them with
    n: int


def behaviour_gates(candidate: Behaviour, parent: Behaviour, plan: Plan) -> Iterator[GateResult]:
    yield _end_of_text(candidate, parent, plan)
    yield _length(candidate, parent, plan)
    yield _repetition(candidate, parent, plan)
    yield _degenerate(candidate, parent, plan)
    yield _language(candidate, parent, plan)


def _end_of_text(candidate: Behaviour, parent: Behaviour, plan: Plan) -> GateResult:
    rate, before = candidate.end_rate, parent.end_rate
    return GateResult(
        name="end_of_text",
        passed=candidate.n > 0 and rate >= before - plan.max_end_drop,
        reason=f"{rate:.1%} of {candidate.n} answers end; the parent's {before:.1%}, "
        f"at most {plan.max_end_drop:.1%} less is allowed",
    )


def _length(candidate: Behaviour, parent: Behaviour, plan: Plan) -> GateResult:
    length, before, factor = candidate.length, parent.length, plan.max_length_factor
    return GateResult(
        name="length",
        passed=candidate.n > 0 and before / factor <= length <= before * factor,
        reason=f"{length:.1f} tokens on average; the parent's {before:.1f}, "
        f"a factor of {factor:g} is allowed",
    )


def _repetition(candidate: Behaviour, parent: Behaviour, plan: Plan) -> GateResult:
    share, before, more = candidate.repeated, parent.repeated, plan.max_repetition_gain
    return GateResult(
        name="repetition",
        passed=candidate.n > 0 and share <= before + more,
        reason=f"{share:.1%} of the 4-grams in {candidate.n} answers came before in the same "
        f"answer; the parent's {before:.1%}, at most {more:.1%} more is allowed",
    )


def _degenerate(candidate: Behaviour, parent: Behaviour, plan: Plan) -> GateResult:
    share, before, more = candidate.degenerate, parent.degenerate, plan.max_degenerate_gain
    blind = "; whitespace was not looked for: no tokenizer" if candidate.scripts is None else ""
    return GateResult(
        name="degenerate",
        passed=candidate.n > 0 and share <= before + more,
        reason=f"{share:.1%} of {candidate.n} answers say nothing; the parent's {before:.1%}, "
        f"at most {more:.1%} more is allowed{blind}",
    )


def _language(candidate: Behaviour, parent: Behaviour, plan: Plan) -> GateResult:
    """Without a tokenizer it fails, as all that could not be measured; the plan can let it go."""
    most = plan.max_language_drift
    drift = language_drift(candidate, parent)
    if most == 1:
        passed, why = True, "not asked for: max_language_drift is 1"
    elif drift is None:
        passed, why = False, "could not measure: no tokenizer (max_language_drift 1 does without)"
    else:
        passed = candidate.n > 0 and drift <= most
        said, before = _told(candidate.scripts or {}), _told(parent.scripts or {})
        why = f"{drift:.1%} moved between scripts: {said}; the parent's {before}, "
        why += f"at most {most:.1%} is allowed"
    return GateResult(name="language", passed=passed, reason=why)


def language_drift(candidate: Behaviour, parent: Behaviour) -> float | None:
    if candidate.scripts is None or parent.scripts is None:
        return None
    return distance(candidate.scripts, parent.scripts)


def _told(scripts: Mapping[str, float]) -> str:
    """The three largest."""
    most = sorted(scripts.items(), key=lambda item: (-item[1], item[0]))[:3]
    return ", ".join(f"{share:.1%} {script}" for script, share in most)


def behaviour_scores(candidate: Behaviour, parent: Behaviour) -> Iterator[tuple[str, float]]:
    for suffix, found in (("", candidate), ("_parent", parent)):
        yield f"end_rate{suffix}", found.end_rate
        yield f"length{suffix}", found.length
        yield f"repetition{suffix}", found.repeated
        yield f"degenerate{suffix}", found.degenerate
    drift = language_drift(candidate, parent)
    if drift is not None:
        yield "language_drift", drift
