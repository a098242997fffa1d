"""The trainer's metrics; the only file of the room that knows Prometheus.

They are read from the state folder at each scrape: whoever ran a round, and has ended since.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import get_args

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from trainer.endings import Ending
from trainer.past import Ended, UnderWay
from trainer.record import Record, Seen

PREFIX = "thumbwheel_trainer"


class Metrics(Collector):
    def __init__(self, state: Path, registry: CollectorRegistry | None = None) -> None:
        self._record = Record(state)
        self._registry = registry or CollectorRegistry()
        self._registry.register(self)

    def serve(self, host: str, port: int) -> None:
        start_http_server(port, addr=host, registry=self._registry)

    def collect(self) -> Iterable[Metric]:
        seen = self._record.seen()
        yield from _rounds(seen)
        yield from _last(seen.past.last)
        yield from _newest(seen.past.newest)
        yield from _under_way(seen.under_way)
        waiting = {} if seen.waiting is None else {(): float(seen.waiting)}
        yield _gauge(
            "waiting_thumbs",
            "New thumbs on the stable adapter's answers that no round has used.",
            waiting,
        )


def _rounds(seen: Seen) -> Iterable[Metric]:
    past = seen.past
    yield _counter(
        "rounds",
        "Rounds that ended, by how: published, gated, too_few, failed, stopped or died.",
        "outcome",
        dict.fromkeys(get_args(Ending), 0) | past.rounds,
    )
    yield _gauge(
        "last_ended_timestamp_seconds",
        "When a round last ended so; none where none ever did.",
        {(outcome,): at.timestamp() for outcome, at in past.ended_at.items()},
        "outcome",
    )
    yield _gauge(
        "since_timestamp_seconds",
        "Since when rounds are counted: a trainer that never ended one is as stale as this is old.",
        {(): past.since.timestamp()},
    )
    took = SummaryMetricFamily(
        f"{PREFIX}_round_seconds", "How long rounds took that published an adapter.", labels=()
    )
    took.add_metric([], past.made, past.made_seconds)
    yield took
    used = "Examples that rounds used."
    yield _counter("examples", used, "use", past.examples)
    failures = "Gates that a candidate did not pass."
    yield _counter("gate_failures", failures, "gate", past.gate_failures)
    untold = "Rounds that a tracker could not be told of to the end."
    yield _counter("tracker_failures", untold, "tracker", past.tracker_failures)


def _last(last: Ended | None) -> Iterable[Metric]:
    outcomes = {(one,): float(one == last.outcome) for one in get_args(Ending)} if last else {}
    yield _gauge(
        "last_outcome", "1 for how the last round ended, 0 for the others.", outcomes, "outcome"
    )
    took = {(): last.seconds} if last else {}
    yield _gauge("last_round_seconds", "How long the last round took.", took)


def _newest(newest: Ended | None) -> Iterable[Metric]:
    gates = newest.gates if newest else ()
    yield _gauge(
        "gate_passed",
        "1 for each gate that the newest candidate passed, 0 for each that it did not.",
        {(gate.name,): float(gate.passed) for gate in gates},
        "gate",
    )
    kl = newest.kl if newest else {}
    yield _gauge(
        "kl_nats",
        "KL an answer, of the newest adapter to its parent and to the base model.",
        {(reference,): found.value for reference, found in kl.items()},
        "reference",
    )
    yield _gauge("score", "Scores of the newest candidate.", _keyed(newest, "scores"), "score")
    counted = "Examples of the newest candidate's round: used, held out, left out and why."
    yield _gauge("round_examples", counted, _keyed(newest, "counts"), "use")


def _under_way(one: UnderWay | None) -> Iterable[Metric]:
    yield _gauge("round_running", "1 while a round goes on.", {(): float(one is not None)})
    began = {(): one.began_at.timestamp()} if one else {}
    yield _gauge("round_began_timestamp_seconds", "When the round that goes on began.", began)
    done = {(one.step,): one.done / one.of} if one and one.of else {}
    yield _gauge("round_step_done_ratio", "How far it is in its step.", done, "step")
    left = {(): one.left_seconds} if one and one.left_seconds is not None else {}
    yield _gauge("round_left_seconds", "About how long it still takes.", left)


def _keyed(newest: Ended | None, field: str) -> dict[tuple[str, ...], float]:
    return {(name,): value for name, value in getattr(newest, field, {}).items()}


def _counter(name: str, told: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"{PREFIX}_{name}", told, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _gauge(
    name: str, told: str, values: Mapping[tuple[str, ...], float], label: str | None = None
) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", told, labels=[label] if label else [])
    for key, value in values.items():
        family.add_metric(key, value)
    return family
