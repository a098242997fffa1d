"""Dashboards as Grafana reads them. That each panel shows something, a real Prometheus is asked."""

import json
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from ops.dashboards import DASHBOARDS, drawn, queries
from tests.ops.test_alerts import unknown_metrics


@pytest.mark.parametrize("query", [query for _, query in queries()])
def test_every_metric_of_a_panel_is_in_the_code_or_counted_by_a_rule(query: str) -> None:
    assert not unknown_metrics(query)


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.name)
def test_no_two_panels_share_a_name_or_a_place(dashboard: Any) -> None:
    panels = drawn(dashboard)["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels})
    assert len({panel["id"] for panel in panels}) == len(dashboard.panels)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
    assert not any(_overlap(one["gridPos"], two["gridPos"]) for one, two in combinations(panels, 2))


def test_the_command_writes_a_file_for_each(tmp_path: Path) -> None:
    done = _asked_to_write(str(tmp_path / "new"))
    assert done.stdout.split() == [str(path) for path in sorted((tmp_path / "new").iterdir())]
    read = [json.loads(Path(path).read_text()) for path in done.stdout.split()]
    assert sorted(one["uid"] for one in read) == sorted(one.name for one in DASHBOARDS)


def test_the_command_says_what_it_expects() -> None:
    done = _asked_to_write("--help")
    assert (done.returncode, done.stderr) == (
        1,
        "python -m ops.dashboards: ['--help']; expected one folder\n",
    )


def _overlap(one: dict[str, int], two: dict[str, int]) -> bool:
    beside = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
    above = one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"]
    return not (beside or above)


def _asked_to_write(folder: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "ops.dashboards", folder]
    return subprocess.run(argv, cwd=Path(__file__).parents[2], capture_output=True, text=True)
