from prometheus_client import CollectorRegistry

from tests.trainer.test_adapters import manifest
from trainer.adapters import Estimate, GateResult
from trainer.metrics import Metrics


def test_a_round_is_counted_by_how_it_ended() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    bad = GateResult(name="kl_base", passed=False, reason="r")
    made = manifest("model-v1", bad).model_copy(
        update={
            "counts": {"train": 5, "replay": 1, "holdout": 2},
            "kl": {"parent": Estimate(value=1.5, stderr=0.1, n=9)},
        }
    )
    metrics.ended("gated", made)
    metrics.ended("too_few")

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"thumbwheel_trainer_{name}", labels)

    assert value("rounds_total", outcome="gated") == value("rounds_total", outcome="too_few") == 1
    assert value("examples_total", use="train") == 5
    assert value("gate_failures_total", gate="kl_base") == 1
    assert value("kl_nats", reference="parent") == 1.5
    assert value("round_seconds_count") == 1
    assert value("last_published_timestamp_seconds") == 0


def test_an_adapter_that_passed_moves_the_clock() -> None:
    registry = CollectorRegistry()
    made = manifest("model-v1", GateResult(name="g", passed=True, reason="r"))
    made = made.model_copy(update={"counts": {"train": 5, "replay": 0, "holdout": 0}})
    Metrics(registry).ended("published", made)
    name = "thumbwheel_trainer_last_published_timestamp_seconds"
    assert registry.get_sample_value(name) == made.created_at.timestamp()


def test_each_gate_of_the_newest_candidate_is_one_or_nought() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    counts = {"counts": {"train": 5, "replay": 0, "holdout": 0}}
    first = [GateResult(name=name, passed=name == "a", reason="r") for name in "ab"]
    metrics.ended("gated", manifest("model-v1", *first).model_copy(update=counts))

    def passed(gate: str) -> float | None:
        return registry.get_sample_value("thumbwheel_trainer_gate_passed", {"gate": gate})

    assert (passed("a"), passed("b")) == (1, 0)
    only = GateResult(name="b", passed=True, reason="r")
    metrics.ended("published", manifest("model-v2", only).model_copy(update=counts))
    assert (passed("a"), passed("b")) == (None, 1)
