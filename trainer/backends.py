"""Whose loop a round may go through, and which of the plan's dials TRL's has. Pure."""

from typing import Literal

from trainer.methods import Method

Backend = Literal["own", "trl"]

TRL = "1.16.0"  # its trainers are fed by parts that are their own

_ALWAYS: dict[str, object] = {"processes": 1, "nodes": 1, "quantize": None, "kl_weight": 0.0}
_USERS_ALONE: dict[str, object] = {"judged_pairs": 0, "rewritten_answers": 0}
# The methods that TRL has, and of each the dials that it has not, with the value that asks nothing.
TRL_LACKS: dict[Method, dict[str, object]] = {
    "kto": _ALWAYS | {"sft_weight": 0.0},
    "dpo": _ALWAYS | _USERS_ALONE | {"label_noise": 0.0},  # its "robust" is another loss than cDPO
    "ipo": _ALWAYS | _USERS_ALONE,
    "sft": _ALWAYS | {"sft_weight": 1.0},
}
