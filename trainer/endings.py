"""How a round may end, and what `--once` then ends with. Pure. Knows no torch."""

from typing import Literal

Outcome = Literal["published", "gated", "too_few"]  # gated: published, but a gate failed
# failed: an error; stopped: told to end; died: killed. The last two may go on where they were.
Ending = Literal["published", "gated", "too_few", "failed", "stopped", "died"]

# 2 is for wrong arguments, 78 for settings.
EXIT_CODES: dict[Ending, int] = {"published": 0, "gated": 3, "too_few": 4}
CANNOT_BEGIN = 1
FAILED = 5
NOT_DUE = 6  # of --if-due

CODES_TOLD = """\
0   an adapter was published that passed its gates
1   the round could not begin: another one runs, the log is away, no such base model
2   wrong arguments
3   an adapter was published, but it failed a gate: the last line says which, and why
4   too few examples: nothing is published
5   the round failed: nothing is published
6   --if-due: no round is due
78  a setting or the plan is wrong"""


class RoundFailed(Exception):
    """Nothing can be published; the message says why."""


class NobodyAnswers(RoundFailed):
    """An engine that is to draw answers, or a judge, is away. What was learned before is kept: the
    next round goes on from it.
    """


class NothingToLearn(RoundFailed):
    """What the policy says has come to be all the same; what was learned before may stand."""


class NotFinite(RoundFailed, ValueError):
    """A number is not one; the message says which. What was learned since is worth nothing."""
