"""The ops room's metrics; the only file of the room that knows Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from ops.decide import Arm, Decision, Observation
from serving.split import Split


class Metrics:
    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._registry = registry = registry or CollectorRegistry()
        self._decisions = Counter(
            "thumbwheel_ops_decisions_total",
            "Ticks of the controller, by what was decided.",
            ["decision"],
            registry=registry,
        )
        self._failures = Counter(
            "thumbwheel_ops_failed_ticks_total",
            "Ticks that could not be finished.",
            registry=registry,
        )
        self._revision = Gauge(
            "thumbwheel_ops_split_revision", "The split in force.", registry=registry
        )
        self._share = Gauge(
            "thumbwheel_ops_canary_share_ratio",
            "The canary's share of traffic; 0 without a canary.",
            registry=registry,
        )
        self._paused = Gauge(
            "thumbwheel_ops_paused", "1 while automation leaves the split alone.", registry=registry
        )
        self._completions = Gauge(
            "thumbwheel_ops_trial_completions",
            "Completions since the canary's trial began.",
            ["arm"],
            registry=registry,
        )
        self._thumbs = Gauge(
            "thumbwheel_ops_trial_thumbs",
            "Thumbs since the canary's trial began.",
            ["arm", "thumb"],
            registry=registry,
        )

    def ticked(self, split: Split, decision: Decision, seen: Observation | None) -> None:
        self._decisions.labels(type(decision).__name__.lower()).inc()
        self._revision.set(split.revision)
        self._share.set(split.share_percent / 100)
        self._paused.set(split.pinned)
        now = seen or Observation(stable=Arm(), canary=Arm())  # nothing is on trial
        for name, arm in (("stable", now.stable), ("canary", now.canary)):
            self._completions.labels(name).set(arm.completions)
            self._thumbs.labels(name, "up").set(arm.thumbs.up)
            self._thumbs.labels(name, "down").set(arm.thumbs.total - arm.thumbs.up)

    def failed(self) -> None:
        self._failures.inc()

    def serve(self, port: int) -> None:
        start_http_server(port, addr="127.0.0.1", registry=self._registry)
