"""All numbers that serving shows, and its only file that knows Prometheus.

Labels come from closed sets: never a user, and no adapter that there is not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

PREFIX = "thumbwheel_serving"
NO_ADAPTER = "none"  # the label where no adapter answered
_OVERHEAD = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
_WAITING = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)


class EngineState(Protocol):
    @property
    def busy(self) -> int: ...

    @property
    def well(self) -> bool: ...


@dataclass(frozen=True)
class Answered:
    """The numbers of one adapter and outcome. To look them up takes as long as to count them."""

    total_seconds: Histogram
    overhead_seconds: Histogram
    first_token_seconds: Histogram
    tokens: Mapping[str, Counter]

    def count(
        self,
        *,
        total_seconds: float,
        own_seconds: float,
        first_seconds: float | None,
        tokens: Mapping[str, int],
    ) -> None:
        """`own_seconds` of them were not spent in waiting for others."""
        self.total_seconds.observe(total_seconds)
        self.overhead_seconds.observe(own_seconds)
        if first_seconds:
            self.first_token_seconds.observe(first_seconds)
        for of, number in tokens.items():
            self.tokens[of].inc(number)


class Metrics:
    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._registry = registry = registry or CollectorRegistry()
        self._answered: dict[tuple[str, str], Answered] = {}
        self.requests = Counter(
            f"{PREFIX}_requests",
            "Chat requests, by the adapter that answered and how it went.",
            ["adapter", "outcome"],
            registry=registry,
        )
        self.first_token_seconds = Histogram(
            f"{PREFIX}_first_token_seconds",
            "From a streaming request to the first part of its answer.",
            ["adapter"],
            buckets=_WAITING,
            registry=registry,
        )
        self.total_seconds = Histogram(
            f"{PREFIX}_total_seconds",
            "From a request to the end of its answer.",
            ["adapter", "outcome"],
            buckets=_WAITING,
            registry=registry,
        )
        self.overhead_seconds = Histogram(
            f"{PREFIX}_overhead_seconds",
            "From a request to the end of its answer, without the wait for engine and reader.",
            ["adapter", "outcome"],
            buckets=_OVERHEAD,
            registry=registry,
        )
        self.canary_fallbacks = Counter(
            f"{PREFIX}_canary_fallbacks",
            "Requests of canary users that stable answered because the canary could not be loaded.",
            ["canary"],
            registry=registry,
        )
        self.completions_lost = Counter(
            f"{PREFIX}_completions_lost",
            "Answers that could not be written down as a completion.",
            registry=registry,
        )
        self.verdicts = Counter(
            f"{PREFIX}_verdicts", "Verdicts accepted, by kind.", ["kind"], registry=registry
        )
        self._split_revision = Gauge(
            f"{PREFIX}_split_revision", "The split in force; 0 is none.", registry=registry
        )
        self.tokens = Counter(
            f"{PREFIX}_tokens",
            "Tokens of prompts and answers.",
            ["adapter", "of"],
            registry=registry,
        )
        self._in_flight = Gauge(
            f"{PREFIX}_in_flight", "Requests that are being answered.", registry=registry
        )
        self._engine_requests = Gauge(
            f"{PREFIX}_engine_requests",
            "Requests that an engine is answering.",
            ["engine"],
            registry=registry,
        )
        self._engine_up = Gauge(
            f"{PREFIX}_engine_up",
            "0 while an engine is left alone because it failed several times in a row.",
            ["engine"],
            registry=registry,
        )
        self._spool_most = Gauge(
            f"{PREFIX}_spool_max_bytes", "So much the spool may hold.", registry=registry
        )
        self._spool_bytes = Gauge(
            f"{PREFIX}_spool_waiting_bytes",
            "Completions and verdicts on disk that are not on the log yet.",
            registry=registry,
        )

    def watch(
        self,
        *,
        split_revision: Callable[[], int],
        spool_bytes: Callable[[], int],
        spool_max_bytes: int,
        in_flight: Callable[[], int],
        engines: Callable[[], Mapping[str, EngineState]],
    ) -> None:
        """Where to look whenever somebody asks."""
        self._split_revision.set_function(split_revision)
        self._spool_bytes.set_function(spool_bytes)
        self._spool_most.set(spool_max_bytes)
        self._in_flight.set_function(in_flight)
        for url in engines():
            self._engine_requests.labels(url).set_function(partial(_busy, engines, url))
            self._engine_up.labels(url).set_function(partial(_well, engines, url))

    def answered(self, adapter: str, outcome: str) -> Answered:
        known = self._answered.get((adapter, outcome))
        if known is None:
            known = self._answered[adapter, outcome] = Answered(
                self.total_seconds.labels(adapter, outcome),
                self.overhead_seconds.labels(adapter, outcome),
                self.first_token_seconds.labels(adapter),
                {of: self.tokens.labels(adapter, of) for of in ("prompt", "answer")},
            )
        return known

    def page(self) -> bytes:
        return generate_latest(self._registry)


def _busy(engines: Callable[[], Mapping[str, EngineState]], url: str) -> float:
    return engines()[url].busy


def _well(engines: Callable[[], Mapping[str, EngineState]], url: str) -> float:
    return engines()[url].well
