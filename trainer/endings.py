"""How a round may end, and what `--once` then ends with. Pure. Knows no torch."""

from typing import Literal

Outcome = Literal["published", "gated", "too_few"]  # gated: published, but a gate failed

# 1 is for what keeps a round from beginning, 2 for wrong arguments, 78 for settings.
EXIT_CODES: dict[Outcome, int] = {"published": 0, "gated": 3, "too_few": 4}
FAILED = 5


class RoundFailed(Exception):
    """Nothing can be published; the message says why."""
