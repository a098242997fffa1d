"""What was seen, as numbers with names: for the history and for who asks why. Pure."""

from math import isfinite

from ops.evidence import Interval
from ops.seen import Arm, Observation
from ops.served import USUAL
from ops.weigh import Finding


def numbers(seen: Observation | None, found: list[Finding]) -> dict[str, float]:
    """What is not known is left out."""
    if seen is None:
        return {}
    told = dict[str, float]()
    for name, arm in (("canary", seen.canary), ("stable", seen.stable)):
        told |= {f"{name}.{key}": value for key, value in _of(arm).items()}
    for one in found:
        told |= _interval(f"{one.of}.gain", one.gain) | _interval(f"{one.of}.shrunk", one.shrunk)
        told |= {f"{one.of}.canary": float(one.verdicts), f"{one.of}.detectable": one.detectable}
    for to, drift in seen.drifts.items():
        told |= _interval(f"kl.{to}", drift.interval)
        told[f"kl.{to}.answers"] = float(drift.answers)
        told[f"kl.{to}.faithful"] = float(drift.faithful)  # of those: drawn as the model is
    told["kl.scored"] = float(seen.scored)
    if seen.stable_drift:
        told |= _interval("stable.kl.base", seen.stable_drift.interval)
    told |= {f"query.{one.name}": one.value for one in seen.queried if one.value is not None}
    return {name: value for name, value in told.items() if isfinite(value)}


def _of(arm: Arm) -> dict[str, float]:
    step, rated = arm.step, arm.rated
    told = {
        "completions": float(arm.completions),
        "thumbs": float(rated.n),
        "thumbs_up": rated.total,
        "step.completions": float(step.completions),
        "step.errors": step.error.total,
        "step.not_loaded": float(step.not_loaded),
        "step.refusals": step.refusal.total,
        "step.slow": step.slow.total,
        "step.p95_seconds": step.waits.percentile(USUAL),
    }
    if step.length.n:
        told["step.log_tokens"] = step.length.total / step.length.n
    return told


def _interval(name: str, found: Interval) -> dict[str, float]:
    low, estimate, high = found
    return {f"{name}.low": low, name: estimate, f"{name}.high": high}
