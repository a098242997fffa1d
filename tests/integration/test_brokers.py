"""Brokers die and are cut off one by one: users do not notice, and nothing is lost.

What a verdict waited for its 202 is printed (`pytest -s`), and asserted nowhere.
"""

from pathlib import Path

import pytest

from tests.integration.election import election

pytestmark = pytest.mark.integration


def test_no_client_sees_that_a_broker_dies_or_is_cut_off(tmp_path: Path) -> None:
    report = election(tmp_path, seed=1, calm_seconds=3, away_seconds=5, pause_seconds=0.6)
    print(*report.lines(), sep="\n")
    assert report.complaints == []
    assert report.ledger.counts["chats failed"] == 0
    assert report.ledger.counts["verdicts failed"] == 0
    assert len(report.standing) > 100
    assert all(len(found) > 20 for found in report.ledger.seconds.values())
