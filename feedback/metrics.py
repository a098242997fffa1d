"""The feedback room's metrics; the only file of the room that knows Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from feedback.examples import Example, Watermark


class Metrics:
    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._registry = registry = registry or CollectorRegistry()
        self._records = Counter(
            "thumbwheel_feedback_records_total",
            "Records that the worker has taken in.",
            ["topic"],
            registry=registry,
        )
        self._examples = Counter(
            "thumbwheel_feedback_examples_total",
            "Examples settled, changed ones counted again.",
            ["kind"],
            registry=registry,
        )
        self._dead = Counter(
            "thumbwheel_feedback_dead_letters_total",
            "Records that could not be read and were put aside.",
            ["topic"],
            registry=registry,
        )
        self._lag = Gauge(
            "thumbwheel_feedback_lag_records",
            "Records on the log that the worker has not taken in.",
            ["topic"],
            registry=registry,
        )

    def took(self, start: Watermark, end: Watermark, rows: list[Example]) -> None:
        for place, offset in end.items():
            self._records.labels(place.partition("/")[0]).inc(offset - start[place])
        for row in rows:
            self._examples.labels(row.slot.partition(":")[0]).inc()

    def put_aside(self, topic: str) -> None:
        self._dead.labels(topic).inc()

    def behind(self, topic: str, records: int) -> None:
        self._lag.labels(topic).set(records)

    def serve(self, port: int) -> None:
        start_http_server(port, addr="127.0.0.1", registry=self._registry)
