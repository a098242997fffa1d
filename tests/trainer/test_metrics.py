"""What Prometheus reads, from the state folder that any process may have written."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from tests.trainer.test_past import DAY, ended
from trainer.adapters import GateResult
from trainer.metrics import Metrics
from trainer.past import UnderWay
from trainer.record import Record


@pytest.fixture
def record(tmp_path: Path) -> Record:
    record = Record(tmp_path)
    record.begin()
    return record


@pytest.fixture
def registry(tmp_path: Path) -> CollectorRegistry:
    registry = CollectorRegistry()
    Metrics(tmp_path, registry)
    return registry


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"thumbwheel_trainer_{name}", labels)


def test_a_round_is_told_by_how_it_ended(record: Record, registry: CollectorRegistry) -> None:
    record.ended(ended("gated", 1, "m-v1"))
    record.ended(ended("too_few", 2))
    assert value(registry, "rounds_total", outcome="gated") == 1
    assert value(registry, "rounds_total", outcome="too_few") == 1
    assert value(registry, "rounds_total", outcome="failed") == 0
    assert value(registry, "examples_total", use="train") == 5
    assert value(registry, "gate_failures_total", gate="kl_base") == 1
    assert value(registry, "kl_nats", reference="parent") == 1.5
    assert value(registry, "score", score="length") == 7
    assert value(registry, "round_examples", use="dropped: too old") == 3
    assert value(registry, "round_seconds_count") == 1
    assert value(registry, "round_seconds_sum") == 20
    assert value(registry, "last_round_seconds") == 20
    assert value(registry, "last_outcome", outcome="too_few") == 1
    assert value(registry, "last_outcome", outcome="gated") == 0


def test_staleness_is_told_by_ending(record: Record, registry: CollectorRegistry) -> None:
    record.ended(ended("published", 7, "m-v1"))
    name = "last_ended_timestamp_seconds"
    assert value(registry, name, outcome="published") == DAY.timestamp() + 7 * 60
    assert value(registry, name, outcome="failed") is None
    assert value(registry, "since_timestamp_seconds") == pytest.approx(
        datetime.now(UTC).timestamp(), abs=60
    )


def test_counts_outlive_the_process_that_counted(tmp_path: Path) -> None:
    for minute in range(3):
        Record(tmp_path).ended(ended("published", minute, "m-v1"))
    registry = CollectorRegistry()
    Metrics(tmp_path, registry)
    assert value(registry, "rounds_total", outcome="published") == 3


def test_each_gate_of_the_newest_candidate_is_one_or_nought(
    record: Record, registry: CollectorRegistry
) -> None:
    record.ended(ended("gated", 1, "m-v1"))
    passed = {gate: value(registry, "gate_passed", gate=gate) for gate in ("end", "kl_base")}
    assert passed == {"end": 1, "kl_base": 0}
    only = (GateResult(name="kl_base", passed=True, reason="r"),)
    record.ended(ended("published", 2, "m-v2").model_copy(update={"gates": only}))
    assert value(registry, "gate_passed", gate="end") is None
    assert value(registry, "gate_passed", gate="kl_base") == 1


def under_way(record: Record, silent: timedelta) -> UnderWay:
    now = datetime.now(UTC) - silent
    return UnderWay(
        began_at=now, told_at=now, parent="base", step="gates", done=1, of=4, left_seconds=8.0
    )


def test_a_round_that_goes_on_shows_how_far_it_is(
    record: Record, registry: CollectorRegistry, tmp_path: Path
) -> None:
    assert value(registry, "round_running") == 0
    news = under_way(record, timedelta())
    (tmp_path / "round-1.json").write_text(news.model_dump_json())
    assert value(registry, "round_running") == 1
    assert value(registry, "round_step_done_ratio", step="gates") == 0.25
    assert value(registry, "round_left_seconds") == 8
    assert value(registry, "round_began_timestamp_seconds") == news.began_at.timestamp()


def test_a_round_that_was_killed_does_not_run_for_ever(
    record: Record, registry: CollectorRegistry, tmp_path: Path
) -> None:
    news = under_way(record, timedelta(minutes=2))
    (tmp_path / "round-1.json").write_text(news.model_dump_json())
    assert value(registry, "round_running") == 0
    assert value(registry, "round_left_seconds") is None
    assert value(registry, "rounds_total", outcome="died") == 1
    record.ended(ended("published", 1, "m-v1"))  # who writes next keeps that
    assert not (tmp_path / "round-1.json").exists()
    assert value(registry, "rounds_total", outcome="died") == 1


def test_what_waits_is_told_where_somebody_has_looked(
    record: Record, registry: CollectorRegistry
) -> None:
    assert value(registry, "waiting_lessons") is None
    record.waits(12)
    assert value(registry, "waiting_lessons") == 12
