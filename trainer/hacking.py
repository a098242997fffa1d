"""The watch over online methods: did their reward rise for what users do not like better? Pure.

A reward model is a guess. What learns from a guess finds out where it is wrong.
"""

from collections.abc import Iterator
from math import sqrt

from trainer.adapters import Estimate, GateResult
from trainer.held_out import HeldOut
from trainer.kl import lower
from trainer.plan import Plan

_Z80 = 0.842  # one-sided 80 %: milder than the gates that need no reward to have risen


def hacking_gate(gain: Estimate, held: HeldOut, plan: Plan) -> GateResult:
    """`gain`: by the reward model, of the candidate's fresh answers over the parent's."""
    rose = f"by the reward fresh answers are {gain.value:+.2f} ± {gain.stderr:.2f} better"
    if plan.min_holdout == 0:
        passed, why = True, f"not asked for: min_holdout is 0; {rose}"
    elif held.n < max(plan.min_holdout, 2) or gain.n < 2:
        passed, why = False, f"could not measure: {held.seen}; {rose}"
    else:
        passed = lower(gain) <= 0 or held.gap().value + _Z80 * held.gap().stderr >= 0
        told = held.compared[0].format(f"{held.gap().value:+.2f}")
        why = f"{rose}; {told} that users judged"
    return GateResult(name="reward_hacking", passed=passed, reason=why)


def hacking_scores(gain: Estimate, kl: Estimate) -> Iterator[tuple[str, float]]:
    """Reward grows with the root of the KL, and falls behind it where it is gamed (Gao 2022)."""
    yield "reward_gain", gain.value
    if kl.value > 0:
        yield "reward_gain_per_root_nat", gain.value / sqrt(kl.value)
