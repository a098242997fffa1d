"""The alerts: told in the runbook, of metrics that there are, and right by promtool's own tests."""

import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from tests.ops.alert_cases import CASES, IDLE, TICKED, WELL, Series
from tests.prometheus.programs import promtool

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "ops/alerts").glob("*.yaml"))
ROOMS = ("feedback", "trainer", "serving", "ops")
_NAME = re.compile(r"\b(?:thumbwheel_|thumbwheel:|vllm:)[\w:]+")


def rules() -> list[dict[str, Any]]:
    groups = [group for file in FILES for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


RULES = rules()
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}


def known_metrics() -> set[str]:
    """What the rooms serve, as Prometheus names it, and what our rules make of it."""
    return {*_served(), *(rule["record"] for rule in RULES if "record" in rule)}


def unknown_metrics(expression: str) -> set[str]:
    """vLLM's own are vLLM's to name."""
    return {n for n in _NAME.findall(expression) if not n.startswith("vllm:")} - known_metrics()


def _served() -> Iterator[str]:
    for room in ROOMS:
        registry = CollectorRegistry()
        of_room = import_module(f"{room}.metrics").Metrics
        _ = of_room(Path("nowhere"), registry) if room == "trainer" else of_room(registry)
        for family in registry.collect():
            suffixes = {"counter": ("_total",), "gauge": ("",), "summary": ("_sum", "_count")}
            for suffix in suffixes.get(family.type, ("_bucket", "_sum", "_count")):
                yield family.name + suffix


def test_there_are_alerts_of_every_room_and_of_the_engine() -> None:
    assert {file.stem for file in FILES} == {*ROOMS, "engine"}
    assert len(ALERTS) == len([rule for rule in RULES if "alert" in rule]) >= 20


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_every_metric_of_a_rule_is_in_the_code(rule: dict[str, Any]) -> None:
    assert not unknown_metrics(rule["expr"])


def test_a_metric_that_there_is_not_is_found() -> None:
    assert unknown_metrics("rate(thumbwheel_serving_request_total[5m])")
    assert unknown_metrics("thumbwheel:error_ratio:rate1m")


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_what_it_is_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"].pop("severity") in ("page", "ticket", "info")
    assert rule["labels"] in ({}, {"thumbwheel_action": "rollback"})
    assert rule["annotations"].keys() == {"summary", "description", "runbook"}
    assert rule["annotations"]["runbook"] == f"docs/runbook.md#{name.lower()}"


def test_the_runbook_has_each_alert_and_nothing_else() -> None:
    text = (ROOT / "docs/runbook.md").read_text()
    assert re.findall(r"^## (\w+)$", text, re.MULTILINE) == _in_order()
    for told in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        assert all(f"**{part}**" in told for part in ("Users", "Look", "Do", "Undo")), told


def _in_order() -> list[str]:
    """As the runbook has the rooms."""
    order = ("serving", "feedback", "trainer", "ops", "engine")
    files = sorted(FILES, key=lambda file: order.index(file.stem))
    return [name for file in files for name in re.findall(r"alert: (\w+)", file.read_text())]


def test_every_alert_has_a_case() -> None:
    assert {case.alert for case in CASES} == ALERTS.keys()


@pytest.mark.integration
def test_promtool_finds_the_rules_sound() -> None:
    promtool("check", "rules", *map(str, FILES))


@pytest.mark.integration
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@pytest.mark.parametrize("step", (1, 5))
def test_each_alert_fires_on_its_series_and_not_nearly(
    file: Path, step: int, tmp_path: Path
) -> None:
    mine = re.findall(r"alert: (\w+)", file.read_text())
    cases = [case for case in CASES if case.alert in mine and case.step_minutes == step]
    broken = [_fires(c.alert, {**WELL, **c.broken}, c.minutes, step) for c in cases]
    nearly = [_silent(c.alert, {**WELL, **c.nearly}, c.minutes, step) for c in cases if c.nearly]
    _check(tmp_path, [file], broken + nearly, step)


@pytest.mark.integration
def test_nothing_fires_where_all_is_well_or_idle_or_where_counters_begin_anew(
    tmp_path: Path,
) -> None:
    anew = {name: _anew(values) for name, values in WELL.items()}
    tests = [_silent(".+", WELL, 300), _silent(".+", IDLE, 300), _silent(".+", anew, 180)]
    _check(tmp_path, FILES, tests)


@pytest.mark.integration
def test_nothing_fires_where_nobody_has_come_for_days(tmp_path: Path) -> None:
    idle = {**IDLE, TICKED: None}  # that ticks are seldom is told by minutes
    _check(tmp_path, FILES, [_silent(".+", idle, 50 * 60, 5)], 5)


@pytest.mark.integration
def test_promtool_finds_an_alert_that_does_not_fire(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="WorkerLag"):
        _check(tmp_path, FILES, [_fires("WorkerLag", WELL, 90)])


def _anew(values: str | None) -> str | None:
    """Every process was started again after an hour and a half."""
    if values is None or not values.startswith("0+") or "{step}" in values:
        return values
    grown = values.replace("{n}", "90")
    return f"{grown} {grown}"


def _fires(alert: str, series: Series, minutes: int, step: int = 1) -> dict[str, Any]:
    """At the end of so many minutes."""
    expression = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) > bool 0'
    expected = [{"labels": "{}", "value": 1}]
    return _promtool_test(series, minutes, step, {"expr": expression, "exp_samples": expected})


def _silent(alert: str, series: Series, minutes: int, step: int = 1) -> dict[str, Any]:
    """At its end and ever before."""
    fired = f'count_over_time(ALERTS{{alertname=~"{alert}", alertstate="firing"}}[{minutes}m])'
    asked = {"expr": f"count by (alertname) ({fired})", "exp_samples": []}
    return _promtool_test(series, minutes, step, asked)


def _promtool_test(
    series: Series, minutes: int, step: int, asked: dict[str, Any]
) -> dict[str, Any]:
    def spelled(values: str) -> str:
        return values.replace("{n}", str(minutes // step)).replace("{step}", str(60 * step))

    given = [{"series": s, "values": spelled(v)} for s, v in series.items() if v is not None]
    asked = asked | {"eval_time": f"{minutes}m"}
    return {"interval": f"{step}m", "input_series": given, "promql_expr_test": [asked]}


def _check(folder: Path, files: list[Path], tests: list[dict[str, Any]], step: int = 1) -> None:
    told = {"rule_files": [*map(str, files)], "evaluation_interval": f"{step}m", "tests": tests}
    (folder / "tests.yaml").write_text(json.dumps(told))  # JSON is YAML
    promtool("test", "rules", str(folder / "tests.yaml"))
