"""The ops room's metrics; the only file of the room that knows Prometheus."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import time

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    start_http_server,
)

from ops.decide import Decision, Rules
from ops.evidence import Interval
from ops.guardrails import GUARDRAILS, Limits, crossed
from ops.seen import Observation
from ops.weigh import Finding
from serving.split import Split

_BOUNDS = ("low", "estimate", "high")
_TICKS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 120)


class Metrics:
    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._registry = registry or CollectorRegistry()
        self._decisions = self._counter(
            "decisions", "Ticks of the controller, by what was decided.", "decision"
        )
        self._moves = self._counter(
            "moves", "What moved the split, and whether a person did it.", "action", "by_hand"
        )
        self._failures = self._counter("failed_ticks", "Ticks that could not be finished.")
        self._tick = Histogram(
            "thumbwheel_ops_tick_seconds",
            "How long a tick took.",
            buckets=_TICKS,
            registry=self._registry,
        )
        self._ticked = self._gauge("last_tick_timestamp_seconds", "When a tick was last finished.")
        self._leads = self._gauge("leads", "1 while this controller leads, 0 while it stands by.")
        self._revision = self._gauge("split_revision", "The split in force.")
        self._share = self._gauge(
            "canary_share_ratio", "The canary's share of traffic; 0 without a canary."
        )
        self._paused = self._gauge("paused", "1 while automation leaves the split alone.")
        self._completions = self._gauge(
            "trial_completions", "Completions since the canary's trial began.", "arm"
        )
        self._thumbs = self._gauge(
            "trial_thumbs", "Thumbs since the canary's trial began.", "arm", "thumb"
        )
        self._gain = self._gauge(
            "gain", "The canary's rate less stable's; none without a canary.", "of", "bound"
        )
        self._worse = self._gauge(
            "worse_gain", "A gain that is surely below this withdraws a canary."
        )
        self._kl = self._gauge(
            "kl_nats", "Live KL an answer, of the canary's answers.", "to", "bound"
        )
        self._stable_kl = self._gauge(
            "stable_kl_nats", "Live KL an answer to base, of stable's answers.", "bound"
        )
        self._budget = self._gauge("kl_budget_nats", "What that KL may be at most.", "to")
        self._score_age = self._gauge(
            "score_age_seconds", "Since the canary's newest live score; none without one."
        )
        self._mismatch = self._gauge(
            "sample_ratio_mismatch", "1 where the canary got another share of users than it should."
        )
        self._crossed = self._gauge(
            "guardrail_broken",
            "1 for what withdrew the last canary, until another begins.",
            "guardrail",
        )
        for guardrail in GUARDRAILS:
            self._crossed.labels(guardrail).set(0)
        self._release = self._gauge(
            "release_revision", "Of the release that says what serves; 0 without one."
        )
        self._told = self._gauge("release_told", "1 while the release says what serves.")
        self._not_told = self._counter(
            "release_failures", "Times that the release could not be read or told."
        )
        self._to_copy = self._gauge(
            "to_copy", "Adapters that are not yet where engines fetch them."
        )

    @contextmanager
    def timed(self) -> Iterator[None]:
        with self._tick.time():
            yield

    def stood_by(self) -> None:
        self._leads.set(0)
        self._ticked.set(time())

    def ticked(
        self,
        split: Split,
        decision: Decision,
        seen: Observation | None,
        found: Sequence[Finding],
        rules: Rules,
    ) -> None:
        self._decisions.labels(type(decision).__name__.lower()).inc()
        self._leads.set(1)
        self._ticked.set(time())
        self._revision.set(split.revision)
        self._share.set(split.share_percent / 100)
        self._paused.set(split.pinned)
        self._tell_arms(seen or Observation())  # where there is none, nothing is on trial
        self._tell_gains(found)
        self._worse.set(rules.worse_gain)
        self._tell_drift(seen or Observation(), rules.limits)
        if seen:
            self._tell_crossed(seen, rules.limits)

    def moved(self, action: str, *, by_hand: bool) -> None:
        self._moves.labels(action, "yes" if by_hand else "no").inc()

    def failed(self, *, blind: bool = False) -> None:
        """`blind`: without the log, who leads may have lost its lease."""
        self._failures.inc()
        if blind:
            self._leads.set(0)

    def release(self, revision: int, *, told: bool) -> None:
        self._release.set(revision)
        self._told.set(told)

    def to_copy(self, count: int) -> None:
        self._to_copy.set(count)

    def not_told(self) -> None:
        self._not_told.inc()

    def serve(self, host: str, port: int) -> None:
        start_http_server(port, addr=host, registry=self._registry)

    def _tell_arms(self, seen: Observation) -> None:
        for name, arm in (("stable", seen.stable), ("canary", seen.canary)):
            rated = arm.rated
            self._completions.labels(name).set(arm.completions)
            self._thumbs.labels(name, "up").set(rated.total)
            self._thumbs.labels(name, "down").set(rated.n - rated.total)

    def _tell_gains(self, found: Sequence[Finding]) -> None:
        self._gain.clear()
        for one in found:
            if one.verdicts:
                self._tell(self._gain, (one.of,), one.gain)

    def _tell_drift(self, seen: Observation, limits: Limits) -> None:
        self._kl.clear()
        for to, drift in seen.drifts.items():
            self._tell(self._kl, (to,), drift.interval)
        self._stable_kl.clear()
        if seen.stable_drift:
            self._tell(self._stable_kl, (), seen.stable_drift.interval)
        for to, budget in (("stable", limits.kl_stable), ("base", limits.kl_base)):
            if budget is not None:
                self._budget.labels(to).set(budget)
        self._score_age.set(float("nan") if seen.score_seconds is None else seen.score_seconds)

    def _tell_crossed(self, seen: Observation, limits: Limits) -> None:
        """Of the last canary: it is gone at once, and who asks later must still see why."""
        now = {one.guardrail for one in crossed(limits, seen)}
        for guardrail in GUARDRAILS:
            self._crossed.labels(guardrail).set(guardrail in now)
        self._mismatch.set("sample_ratio" in now)

    @staticmethod
    def _tell(gauge: Gauge, of: tuple[str, ...], found: Interval) -> None:
        for bound, value in zip(_BOUNDS, found, strict=True):
            gauge.labels(*of, bound).set(value)

    def _counter(self, name: str, told: str, *labels: str) -> Counter:
        return Counter(f"thumbwheel_ops_{name}", told, labels, registry=self._registry)

    def _gauge(self, name: str, told: str, *labels: str) -> Gauge:
        return Gauge(f"thumbwheel_ops_{name}", told, labels, registry=self._registry)
