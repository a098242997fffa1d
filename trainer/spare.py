"""Whether an engine has room for what no user waits for. Pure."""

from dataclasses import dataclass

from pydantic import SecretStr


@dataclass(frozen=True)
class Pace:
    """How much of an engine a round may take."""

    at_once: int  # answers under way in one engine
    per_second: float | None  # answers begun, in all engines together
    users: int  # as many requests of users leave room for ours
    quiet_seconds: float  # with no more of them, before ours begin again
    patience_seconds: float  # without one more token of any answer


@dataclass(frozen=True)
class Engines:
    """Which draw, and how much of them a round may take."""

    urls: tuple[str, ...]
    key: SecretStr | None
    pace: Pace


class Spare:
    """Of one engine."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._busy_at = float("-inf")
        self.users = 0

    def saw(self, requests: int, ours: int, now: float) -> bool:
        """Whether there is room now. `requests`: all that it works on, ours among them."""
        self.users = max(requests - ours, 0)
        if self.users > self._pace.users:
            self._busy_at = now
        return now - self._busy_at >= self._pace.quiet_seconds
