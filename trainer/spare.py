"""Whether an engine has room for what no user waits for. Pure."""

from dataclasses import dataclass

_NOBODY_SECONDS = 60.0  # without a user: the next of them may meet ours
_MET_SECONDS = 600.0  # since one met ours: so may the next, however few came


@dataclass(frozen=True)
class Pace:
    """How much of an engine a round may take."""

    at_once: int  # answers under way in one engine
    per_second: float | None  # answers begun, in all engines together
    users: int  # as many requests of users leave room for ours
    quiet_seconds: float  # seen with no more of them, before ours begin
    met_share: float  # of users, who may come while ours are under way
    patience_seconds: float  # without one more token of any answer


class Spare:
    """Of one engine, for a whole round.

    Who comes while ours are under way waits until they are broken off, and so do those behind them.
    So ours begin only while those who met them are few among those who came.
    """

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._quiet_since: float | None = None
        self._met_at = 0.0
        self._users = self._came = self._met = 0
        self._room = False

    def saw(self, requests: int, ours: int, now: float) -> bool:
        """Whether there is room now. `requests`: all that it works on, ours among them."""
        before, self._users = self._users, max(requests - ours, 0)
        came = max(self._users - before, 0)  # who came and went between two looks is missed
        self._came += came
        if self._users > self._pace.users:
            if came and ours:  # also who comes while ours are being broken off
                self._met, self._met_at = self._met + came, now
            self.leave()
            return False
        # Not since it was last busy: nobody may have looked for long.
        self._quiet_since = now if self._quiet_since is None else self._quiet_since
        quiet = now - self._quiet_since
        self._room = self._room or (quiet >= self._pace.quiet_seconds and self._few(quiet, now))
        return self._room

    def _few(self, quiet: float, now: float) -> bool:
        """Few users meet ours, or so few users come that a round would not end without them."""
        few = self._met <= self._pace.met_share * self._came
        return few or quiet >= _NOBODY_SECONDS or now - self._met_at >= _MET_SECONDS

    @property
    def told(self) -> str:
        most = f"{100 * self._pace.met_share:g}%"
        return f"{self._met} of {self._came} met ours (trainer_draws_met_share: at most {most})"

    def leave(self) -> None:
        """It needs a while, as after users."""
        self._quiet_since, self._room = None, False
