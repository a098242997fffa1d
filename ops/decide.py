"""Every rule that can move traffic, on one page. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ops.evidence import Interval, Pair, Thumbs, gain
from ops.tally import Tally
from serving.split import Split


@dataclass(frozen=True)
class Rules:
    """What a canary must show, and how long it may take."""

    steps_percent: tuple[float, ...] = (1.0, 5.0, 25.0, 50.0)
    min_seconds: float = 600.0
    min_completions: int = 50
    min_verdicts: int = 5
    alpha: float = 0.05
    min_gain: float = 0.01
    deadline_seconds: float = 7 * 86400.0
    max_error_rate: float = 0.05


@dataclass(frozen=True)
class Arm:
    """What was seen of stable, or of the canary, since the trial began.

    Errors come in bursts that spare no arm. They are compared within one step only, while the
    shares stay as they are: else the arm that grew would look like the cause.
    """

    completions: int = 0
    step_completions: int = 0
    step_errors: int = 0
    thumbs_by_revision: Mapping[int, Thumbs] = field(default_factory=dict)  # of the split

    @property
    def thumbs(self) -> Thumbs:
        found = self.thumbs_by_revision.values()
        return Thumbs(sum(t.up for t in found), sum(t.total for t in found))

    @property
    def failed(self) -> Thumbs:
        """Failures counted as thumbs are: the same test tells whether two arms differ."""
        return Thumbs(self.step_errors, self.step_completions)


@dataclass(frozen=True)
class Observation:
    stable: Arm
    canary: Arm

    @property
    def failures(self) -> Pair:
        return _pair(self.canary.failed, self.stable.failed)

    @property
    def thumbs(self) -> list[Pair]:
        """Of each revision of the split: no share changes within one."""
        mine, others = self.canary.thumbs_by_revision, self.stable.thumbs_by_revision
        return [_pair(mine[revision], others[revision]) for revision in mine.keys() & others.keys()]


def _pair(canary: Thumbs, stable: Thumbs) -> Pair:
    return Pair(*(Tally.rate(thumbs.up, thumbs.total) for thumbs in (canary, stable)))


@dataclass(frozen=True)
class Trial:
    """Where things stand: the split, who waits, and how long this has gone on."""

    split: Split
    waiting: str | None  # the adapter that may go on trial next
    seconds: float  # since the canary got its first share
    step_seconds: float  # since it got the share it has


@dataclass(frozen=True)
class Decision:
    reason: str


class Hold(Decision):
    """Nothing moves."""


@dataclass(frozen=True)
class Start(Decision):
    adapter: str
    share_percent: float


@dataclass(frozen=True)
class Step(Decision):
    share_percent: float


class Promote(Decision):
    """The canary becomes stable."""


class Withdraw(Decision):
    """The canary gets no more traffic."""


def decide(rules: Rules, trial: Trial, seen: Observation | None) -> Decision:
    split = trial.split
    if split.pinned:
        return Hold(f"paused at revision {split.revision}: {split.reason}")
    if split.canary is None:
        return _begin(rules, trial)
    if seen is None:
        return Hold("no data: blind is not healthy")
    return _judge(rules, trial, seen)


def _begin(rules: Rules, trial: Trial) -> Decision:
    if trial.waiting is None:
        return Hold("no adapter waits")
    share = rules.steps_percent[0]
    return Start(f"{trial.waiting} passed its gates", trial.waiting, share)


def _judge(rules: Rules, trial: Trial, seen: Observation) -> Decision:
    # Against stable's: while the engine itself is away, both arms fail alike.
    failing = gain([seen.failures], rules.alpha)
    if failing.low > 0 and failing.estimate > rules.max_error_rate:
        return Withdraw(
            f"errors: {_points(failing)}, {_of(seen.canary)} against {_of(seen.stable)}"
        )
    better = gain(seen.thumbs, rules.alpha)
    numbers = f"gain {_points(better)} on {_thumbs(seen)}"
    if better.high < 0:
        return Withdraw(f"worse: {numbers}")
    if better.high < rules.min_gain:
        return Withdraw(f"futile, cannot gain {rules.min_gain:.1%}: {numbers}")
    if trial.seconds > rules.deadline_seconds:
        return Withdraw(f"futile, not better after {trial.seconds:.0f} s: {numbers}")
    return _advance(rules, trial, seen, better, numbers)


def _advance(
    rules: Rules, trial: Trial, seen: Observation, better: Interval, numbers: str
) -> Decision:
    if trial.step_seconds < rules.min_seconds:
        return Hold(
            f"{trial.step_seconds:.0f} of {rules.min_seconds:.0f} s at this share; {numbers}"
        )
    if seen.canary.step_completions < rules.min_completions:
        return Hold(
            f"{seen.canary.step_completions} of {rules.min_completions} completions "
            f"at this share; {numbers}"
        )
    later = [s for s in rules.steps_percent if s > trial.split.share_percent]
    if not later:
        if better.low > 0:
            return Promote(f"better: {numbers}")
        return Hold(f"not yet better: {numbers}")
    if seen.canary.thumbs.total < rules.min_verdicts or better.estimate < 0:
        return Hold(f"no sign yet that it is not worse: {numbers}")
    return Step(f"not worse so far: {numbers}", later[0])


def _points(gain: Interval) -> str:
    if gain.high - gain.low == float("inf"):
        return "unknown"
    low, high = max(gain.low, -1.0), min(gain.high, 1.0)  # no difference of rates is larger
    return f"{100 * gain.estimate:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})"


def _of(arm: Arm) -> str:
    return f"{arm.step_errors}/{arm.step_completions}"


def _thumbs(seen: Observation) -> str:
    canary, stable = seen.canary.thumbs, seen.stable.thumbs
    return f"thumbs {canary.up}/{canary.total} against {stable.up}/{stable.total}"
