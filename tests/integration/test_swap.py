"""Adapters come and go under load: no answer fails, is mixed, or counts for another adapter."""

from pathlib import Path

import pytest

from tests.integration.alone import gateway
from tests.integration.swapping import Plan, run
from tests.integration.telling import telling_engine

pytestmark = pytest.mark.integration


def test_a_hundred_changes_and_twenty_new_adapters_harm_no_stream(tmp_path: Path) -> None:
    with telling_engine(tmp_path) as engine, gateway(tmp_path, engine) as placed:
        done = run(placed, Plan())
    assert done.complaints == []
    # Or it would show nothing: all had their turn, and every change was felt.
    assert set(done.adapters) == {f"model-v{number}" for number in range(1, 22)}
    assert set(done.revisions) == set(range(1, 102))
