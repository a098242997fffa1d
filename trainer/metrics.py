"""The trainer's metrics; the only file of the room that knows Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from trainer.adapters import Manifest

# A round takes a quarter of a minute on a toy model, and hours on a large one.
_BUCKETS = (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 28800)


class Metrics:
    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._registry = registry = registry or CollectorRegistry()
        self._rounds = Counter(
            "thumbwheel_trainer_rounds_total",
            "Rounds that ended, by how: published, gated, too_few or failed.",
            ["outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "thumbwheel_trainer_round_seconds",
            "How long a round took that published an adapter.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self._examples = Counter(
            "thumbwheel_trainer_examples_total",
            "Examples that rounds used.",
            ["use"],
            registry=registry,
        )
        self._gates = Counter(
            "thumbwheel_trainer_gate_failures_total",
            "Gates that a candidate did not pass.",
            ["gate"],
            registry=registry,
        )
        self._passed = Gauge(
            "thumbwheel_trainer_gate_passed",
            "1 for each gate that the newest candidate passed, 0 for each that it did not.",
            ["gate"],
            registry=registry,
        )
        self._kl = Gauge(
            "thumbwheel_trainer_kl_nats",
            "KL an answer, of the newest adapter to its parent and to the base model.",
            ["reference"],
            registry=registry,
        )
        self._waiting = Gauge(
            "thumbwheel_trainer_waiting_lessons",
            "New thumbs on the stable adapter's answers that no round has used; pairs or rankings "
            "where the plan's method learns from those.",
            registry=registry,
        )
        self._last = Gauge(
            "thumbwheel_trainer_last_published_timestamp_seconds",
            "When an adapter that passed its gates was last published.",
            registry=registry,
        )

    def ended(self, outcome: str, manifest: Manifest | None = None) -> None:
        self._rounds.labels(outcome).inc()
        if manifest is not None:
            self._made(manifest)

    def waiting(self, lessons: int) -> None:
        self._waiting.set(lessons)

    def serve(self, port: int) -> None:
        start_http_server(port, addr="127.0.0.1", registry=self._registry)

    def _made(self, manifest: Manifest) -> None:
        self._seconds.observe(manifest.seconds)
        for use in ("train", "replay", "holdout"):
            self._examples.labels(use).inc(manifest.counts[use])
        self._passed.clear()  # not every round has every gate
        for gate in manifest.gates:
            self._passed.labels(gate.name).set(gate.passed)
            if not gate.passed:
                self._gates.labels(gate.name).inc()
        for reference, kl in manifest.kl.items():
            self._kl.labels(reference).set(kl.value)
        if manifest.passed:
            self._last.set(manifest.created_at.timestamp())
