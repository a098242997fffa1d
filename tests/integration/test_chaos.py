"""Whatever is killed, and whenever: what was answered 202 is in the examples, once."""

from pathlib import Path

import pytest

from tests.integration.chaos import Report, chaos_on_kafka, chaos_on_sqlite

pytestmark = pytest.mark.integration
KILLS = 25
KILLS_WITH_A_BROKER = 16  # of which each takes six seconds to come back


def test_no_verdict_is_lost_or_counts_twice_on_sqlite(tmp_path: Path) -> None:
    report = chaos_on_sqlite(tmp_path, kills=KILLS, seed=1)
    assert report.complaints == []
    assert_that_it_was_rough(report, {"gateway", "worker"})


def test_no_verdict_is_lost_or_counts_twice_on_kafka(tmp_path: Path) -> None:
    report = chaos_on_kafka(tmp_path, kills=KILLS_WITH_A_BROKER, seed=1)
    assert report.complaints == []
    assert_that_it_was_rough(report, {"gateway", "worker", "broker"})


def assert_that_it_was_rough(report: Report, killed: set[str]) -> None:
    """Or the test would show nothing."""
    assert set(report.kills) == killed
    assert len(report.standing) > 100
    assert report.judged_early > 0
    for what in ("verdicts failed", "verdicts sent twice", "chats failed"):
        assert report.ledger.counts[what] > 0, what
