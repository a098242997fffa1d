"""The methods of learning: from what each learns, and which of the plan's dials it reads. Pure.

Knows no torch.
"""

from typing import Literal

Method = Literal[
    "kto",
    "dpo",
    "ipo",
    "simpo",
    "orpo",
    "rpo",
    "rrhf",
    "sft",
    "online_dpo",
    "ppo",
    "grpo",
    "rloo",
    "best_of_n",
    "auto",
]
Kind = Literal["thumbs", "pairs", "lists", "verdicts"]

# Of "auto" a round makes one of the others, before it asks any of these.
KINDS: dict[Method, Kind] = {
    "kto": "thumbs",
    "dpo": "pairs",
    "ipo": "pairs",
    "simpo": "pairs",
    "orpo": "pairs",
    "rpo": "pairs",
    "rrhf": "lists",
    "sft": "thumbs",
    # All verdicts teach a reward model, and that the policy.
    "online_dpo": "verdicts",
    "ppo": "verdicts",
    "grpo": "verdicts",
    "rloo": "verdicts",
    "best_of_n": "verdicts",
}
PAIRWISE: tuple[Method, ...] = ("dpo", "ipo", "simpo", "orpo", "rpo")
ROLLOUTS: tuple[Method, ...] = ("ppo", "grpo", "rloo")  # policy gradients
# They draw answers of their own.
ONLINE: tuple[Method, ...] = ("online_dpo", "best_of_n", *ROLLOUTS)
# Their losses are of what an answer gains on the parent; the others never ask it.
WITH_PARENT: tuple[Method, ...] = ("kto", "dpo", "ipo", "rpo", "online_dpo", *ROLLOUTS)
# In a plan of any other method the dial would be turned for nothing.
READERS: dict[str, tuple[Method, ...]] = {
    "beta": ("kto", "dpo", "ipo", "simpo", "orpo", "rpo", "online_dpo"),
    "balance": ("kto",),
    "up_weight_cap": ("kto",),
    "label_noise": ("dpo",),
    "margin": ("simpo",),
    "reward_scale": ("rpo",),
    "reward_outcome": ("rpo",),
    "max_ranked": ("rrhf",),
    "reward_epochs": ONLINE,
    "reward_learning_rate": ONLINE,
    "reward_by_length": ONLINE,
    "online_prompts": ONLINE,
    "answers_per_prompt": ONLINE,
    "ratio_clip": ROLLOUTS,
    "entropy_weight": ROLLOUTS,
    "importance_cap": ROLLOUTS,
    "gae_smooth": ("ppo",),
    "reward_clip": ("ppo",),
    "value_clip": ("ppo",),
    "value_weight": ("ppo",),
}
# What an AI says, it says of pairs: a judge, or the model itself by its constitution.
WITH_AI: tuple[Method, ...] = (*PAIRWISE, *ONLINE)
AI_DIALS = (
    *("judged_pairs", "judge_rubric", "judge_questions"),
    *("constitution", "rewritten_answers", "ai_weight"),
)
# All of them; docs/formats.md tells of the AI's in a table of their own.
DIALS = READERS | dict.fromkeys(AI_DIALS, WITH_AI)


def usual_beta(method: Method) -> float:
    """SimPO's multiplies a mean token, not a whole answer: its authors took 2 to 2.5."""
    return 2.0 if method == "simpo" else 0.1


def usual_epochs(method: Method) -> int:
    """Of an online method each draws anew; in the first there is no drift yet to pay for."""
    return 4 if method in ONLINE else 1


def usual_kl_weight(method: Method) -> float:
    """Without it a policy gradient knows no bounds but the budgets."""
    return 0.05 if method in ROLLOUTS else 0.0


def usual_sft_weight(method: Method) -> float:
    """A policy gradient imitates nobody."""
    return 0.0 if method in ROLLOUTS else 1.0
