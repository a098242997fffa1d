"""The feedback room's metrics; the only file of the room that knows Prometheus."""

from collections import Counter as Counts
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from feedback.examples import Example, Watermark
from feedback.words import Word

PREFIX = "thumbwheel_feedback"


class Metrics:
    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._registry = registry or CollectorRegistry()
        self._records = self._counter("records", "Records that were taken in.", "topic")
        self._missed = self._counter(
            "missed_records", "Records that the log removed before they were read.", "topic"
        )
        self._dead = self._counter(
            "dead_letters", "Records that could not be read and were put aside.", "topic"
        )
        self._lag = self._gauge(
            "lag_records", "Records on the log that were not taken in.", "topic", "partition"
        )
        self._examples = self._counter(
            "examples", "Examples settled, changed ones counted again.", "kind"
        )
        self._quarantined = self._counter(
            "quarantined", "Examples settled that do not count.", "kind"
        )
        self._late = self._counter("late", "Verdicts that came too late to count.", "kind")
        self._repeated = self._counter("repeated", "Verdicts that were said before.", "kind")
        self._waiting = self._gauge(
            "waiting_records", "Records kept for verdicts to come.", "topic", "partition"
        )
        self._window_bytes = self._gauge("window_bytes", "Size of those records.", "partition")
        self._dropped = self._counter("dropped_records", "Records no longer kept for verdicts.")
        self._forgotten = self._counter("forgotten", "Examples removed for users' sake.")
        self._failed = self._counter(
            "failed_turns", "Turns that the log or the disk did not let end; they are done again."
        )

    def failed(self) -> None:
        self._failed.inc()

    def took(self, start: Watermark, end: Watermark, rows: list[Example]) -> None:
        for place, offset in end.items():
            self._records.labels(place.partition("/")[0]).inc(offset - start[place])
        for kind, count in _kinds(rows).items():
            self._examples.labels(kind).inc(count)
        for kind, count in _kinds(row for row in rows if row.weight == 0).items():
            self._quarantined.labels(kind).inc(count)

    def passed_over(self, late: Iterable[Word], repeated: Iterable[Word]) -> None:
        for word in late:
            self._late.labels(word.kind).inc()
        for word in repeated:
            self._repeated.labels(word.kind).inc()

    def kept(self, partition: int, counts: dict[str, int], size: int, dropped: int) -> None:
        for topic, count in counts.items():
            self._waiting.labels(topic, partition).set(count)
        self._window_bytes.labels(partition).set(size)
        self._dropped.inc(dropped)

    def gone(self, partition: int) -> None:
        """It is another worker's."""
        self._window_bytes.remove(partition)
        for topic in ("completions", "verdicts"):
            self._waiting.remove(topic, partition)
            self._lag.remove(topic, partition)

    def put_aside(self, topic: str, records: int) -> None:
        self._dead.labels(topic).inc(records)

    def missed(self, topic: str, records: int) -> None:
        self._missed.labels(topic).inc(records)

    def behind(self, topic: str, partition: int, records: int) -> None:
        self._lag.labels(topic, partition).set(records)

    def forgot(self, examples: int) -> None:
        self._forgotten.inc(examples)

    def serve(self, host: str, port: int) -> None:
        start_http_server(port, addr=host, registry=self._registry)

    def _counter(self, name: str, told: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", told, labels, registry=self._registry)

    def _gauge(self, name: str, told: str, *labels: str) -> Gauge:
        return Gauge(f"{PREFIX}_{name}", told, labels, registry=self._registry)


def _kinds(rows: Iterable[Example]) -> dict[str, int]:
    return Counts(row.slot.partition(":")[0] for row in rows)
