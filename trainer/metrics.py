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
        told = (
            "New thumbs to learn from on the stable adapter's answers that no round has used; "
            "pairs or rankings where the plan's method learns from those."
        )
        yield _gauge("waiting_lessons", told, seen.waiting)


def _rounds(seen: Seen) -> Iterable[Metric]:
    past = seen.past
    how = "Rounds that ended, by how: published, gated, too_few, failed, stopped or died."
    rounds = {outcome: past.rounds.get(outcome, 0) for outcome in get_args(Ending)}
    yield _counters("rounds", how, "outcome", rounds)
    when = "When a round last ended so; none where none ever did."
    ended = {str(outcome): at.timestamp() for outcome, at in past.ended_at.items()}
    yield _gauges("last_ended_timestamp_seconds", when, "outcome", ended)
    since = "Since when rounds are counted: the day of a trainer that never ended one."
    yield _gauge("since_timestamp_seconds", since, past.since.timestamp())
    took = "How long rounds took that published an adapter."
    seconds = SummaryMetricFamily(f"{PREFIX}_round_seconds", took, labels=())
    seconds.add_metric([], past.made, past.made_seconds)
    yield seconds
    yield _counters("examples", "Examples that rounds used.", "use", past.examples)
    failures = "Gates that a candidate did not pass."
    yield _counters("gate_failures", failures, "gate", past.gate_failures)
    untold = "Rounds that a tracker could not be told of to the end."
    yield _counters("tracker_failures", untold, "tracker", past.tracker_failures)


def _last(last: Ended | None) -> Iterable[Metric]:
    outcomes = {str(one): float(one == last.outcome) for one in get_args(Ending)} if last else {}
    how = "1 for how the last round ended, 0 for the others."
    yield _gauges("last_outcome", how, "outcome", outcomes)
    seconds = last.seconds if last else None
    yield _gauge("last_round_seconds", "How long the last round took.", seconds)


def _newest(newest: Ended | None) -> Iterable[Metric]:
    gates = {gate.name: float(gate.passed) for gate in newest.gates} if newest else {}
    passed = "1 for each gate that the newest candidate passed, 0 for each that it did not."
    yield _gauges("gate_passed", passed, "gate", gates)
    kl = {reference: found.value for reference, found in newest.kl.items()} if newest else {}
    far = "KL an answer, of the newest adapter to its parent and to the base model."
    yield _gauges("kl_nats", far, "reference", kl)
    scores = newest.scores if newest else {}
    yield _gauges("score", "Scores of the newest candidate.", "score", scores)
    counts = newest.counts if newest else {}
    told = "Examples of the newest candidate's round: used, held out, left out and why."
    yield _gauges("round_examples", told, "use", counts)


def _under_way(one: UnderWay | None) -> Iterable[Metric]:
    yield _gauge("round_running", "1 while a round goes on.", float(one is not None))
    began = one.began_at.timestamp() if one else None
    yield _gauge("round_began_timestamp_seconds", "When the round that goes on began.", began)
    done = {one.step: one.done / one.of} if one and one.of else {}
    yield _gauges("round_step_done_ratio", "How far it is in its step.", "step", done)
    left = one.left_seconds if one else None
    yield _gauge("round_left_seconds", "About how long it still takes.", left)


def _counters(name: str, told: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"{PREFIX}_{name}", told, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _gauges(name: str, told: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", told, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _gauge(name: str, told: str, value: float | None) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", told, labels=[])
    if value is not None:
        family.add_metric([], value)
    return family
