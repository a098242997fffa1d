"""Who learns from equally many verdicts of the same taste. And a round, timed."""

import time
from itertools import pairwise
from typing import Any, NamedTuple

from tests.bench.taste.users import Say, compare, rate
from trainer.course import Places
from trainer.plan import Plan
from trainer.run import run_round

OURS = "ours"
# Of thumbs, SFT learns from the liked ones alone: they may be few.
_SFT = {"method": "sft", "epochs": 5, "beta": 0.1, "sft_weight": 1.0, "min_rows": 16}
_REWARD = {"reward_learning_rate": 3e-4, "reward_epochs": 4, "epochs": 4, "online_prompts": 128}
_ROLLOUTS = _REWARD | {"beta": 0.1, "sft_weight": 0.0, "kl_weight": 0.05}
# Where both answers are liked, or neither, no one wins: of 200 comparisons some 75 are pairs.
_DPO = {"method": "dpo", "beta": 0.1, "sft_weight": 1.0, "epochs": 5, "min_rows": 16}
# Of two answers to each prompt, a ranking is a pair.
_RRHF = _DPO | {"method": "rrhf"}


class Method(NamedTuple):
    """What differs from the plan, and what its users say."""

    change: dict[str, Any]
    say: Say = rate


METHODS = {
    OURS: Method({}),
    "online DPO": Method(_REWARD | {"method": "online_dpo"}),
    "best of 4": Method(_REWARD | {"method": "best_of_n", "beta": 0.1}),
    "PPO": Method(_ROLLOUTS | {"method": "ppo"}),
    "GRPO": Method(_ROLLOUTS | {"method": "grpo"}),
    "RLOO": Method(_ROLLOUTS | {"method": "rloo"}),
    "SFT on thumbs-up": Method(_SFT),
    "DPO": Method(_DPO, compare),
    "RRHF": Method(_RRHF, compare),
    # As it ships: no SFT beside KTO, and each thumb counts one.
    "TRL's KTO": Method({"backend": "trl", "sft_weight": 0.0, "balance": "none"}),
}


class Learned(NamedTuple):
    adapter: str | None  # that may serve now
    why: str
    seconds: float  # of the processor: others may use the other cores, or this one
    phases: dict[str, float]  # by the clock


def learn(places: Places, parent: str, plan: Plan) -> Learned:
    """A whole round, gates included."""
    began, ticks = time.process_time(), [("reading", time.perf_counter())]

    def tell(step: str, done: int, of: int) -> None:
        if not done:
            ticks.append((step, time.perf_counter()))

    ended = run_round(places, parent, plan, tell=tell)
    ticks.append(("end", time.perf_counter()))
    phases = {step: after - began for (step, began), (_, after) in pairwise(ticks)}
    name = ended.manifest.name if ended.manifest and ended.outcome == "published" else None
    return Learned(name, ended.why, time.process_time() - began, phases)
