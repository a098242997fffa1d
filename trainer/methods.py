"""The methods of learning: from what each learns, and which of the plan's dials it reads. Pure.

Knows no torch.
"""

from typing import Literal

Method = Literal["kto", "dpo", "ipo", "simpo", "orpo", "rpo", "rrhf", "sft", "online_dpo"]
Kind = Literal["thumbs", "pairs", "lists", "verdicts"]

KINDS: dict[Method, Kind] = {
    "kto": "thumbs",
    "dpo": "pairs",
    "ipo": "pairs",
    "simpo": "pairs",
    "orpo": "pairs",
    "rpo": "pairs",
    "rrhf": "lists",
    "sft": "thumbs",
    "online_dpo": "verdicts",  # all of them teach a reward, and that the policy
}
# Their losses are of what an answer gains on the parent; the others never ask it.
WITH_PARENT: tuple[Method, ...] = ("kto", "dpo", "ipo", "rpo", "online_dpo")
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
    "reward_epochs": ("online_dpo",),
    "reward_learning_rate": ("online_dpo",),
    "reward_by_length": ("online_dpo",),
    "online_prompts": ("online_dpo",),
    "answers_per_prompt": ("online_dpo",),
}


def usual_beta(method: Method) -> float:
    """SimPO's multiplies a mean token, not a whole answer: its authors took 2 to 2.5."""
    return 2.0 if method == "simpo" else 0.1
