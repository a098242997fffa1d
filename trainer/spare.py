"""Whether an engine has room for what no user waits for. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """How much of an engine a round may take."""

    at_once: int  # answers under way in one engine
    per_second: float | None  # answers begun, in all engines together
    users: int  # as many requests of users leave room for ours
    quiet_seconds: float  # seen with no more of them, before ours begin
    patience_seconds: float  # without one more token of any answer


class Spare:
    """Of one engine."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._quiet_since: float | None = None
        self.users = 0

    def saw(self, requests: int, ours: int, now: float) -> bool:
        """Whether there is room now. `requests`: all that it works on, ours among them."""
        self.users = max(requests - ours, 0)
        if self.users > self._pace.users:
            self._quiet_since = None
            return False
        # Not since it was last busy: nobody may have looked for long.
        self._quiet_since = now if self._quiet_since is None else self._quiet_since
        return now - self._quiet_since >= self._pace.quiet_seconds

    def troubled(self) -> None:
        """It needs a while, as after users."""
        self._quiet_since = None
