"""Grafana's dashboards, in code: `python -m ops.dashboards FOLDER` writes one file for each.

Plain JSON in few words: what is drawn here takes no more of Grafana's schema than that. The rules
in ops/alerts count what is heavy, for alerts and panels alike.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCHEMA = 39  # Grafana 11; older and newer ones convert it
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Who stands by keeps what it saw last.
_LEADER = " and on (job, instance) thumbwheel_ops_leads == 1"
_WIDTH, _HEIGHT = 8, 8  # three in a row of 24


@dataclass(frozen=True)
class Panel:
    """A drawing of one query or several, each with the legend of its lines."""

    title: str
    queries: dict[str, str]  # PromQL → legend
    unit: str = "short"
    told: str = ""


@dataclass(frozen=True)
class Dashboard:
    name: str
    title: str
    panels: tuple[Panel, ...]


SERVING = Dashboard(
    "thumbwheel-serving",
    "Thumbwheel: what users meet",
    (
        Panel("Requests", {"thumbwheel:requests:rate5m": "{{adapter}}"}, "reqps"),
        Panel(
            "Failures",
            {"thumbwheel:error_ratio:rate5m": "{{adapter}}"},
            "percentunit",
            "Of all requests; what callers do wrong is left out.",
        ),
        Panel(
            "How requests ended",
            {"sum by (outcome) (rate(thumbwheel_serving_requests_total[5m]))": "{{outcome}}"},
            "reqps",
        ),
        Panel("First token, p95", {"thumbwheel:first_token_seconds:p95": "{{adapter}}"}, "s"),
        Panel("Whole answer, p95", {"thumbwheel:total_seconds:p95": "{{adapter}}"}, "s"),
        Panel("The gateway's own part, p95", {"thumbwheel:overhead_seconds:p95": "p95"}, "s"),
        Panel(
            "Tokens",
            {"sum by (of) (rate(thumbwheel_serving_tokens_total[5m]))": "{{of}}"},
            "short",
            "A second.",
        ),
        Panel(
            "Being answered",
            {
                "sum(thumbwheel_serving_in_flight)": "gateways",
                "sum(vllm:num_requests_running)": "engines",
                "sum(vllm:num_requests_waiting)": "waiting in engines",
            },
        ),
        Panel("Engines up", {"min by (engine) (thumbwheel_serving_engine_up)": "{{engine}}"}),
        Panel("Engine cache in use", {"max(vllm:kv_cache_usage_perc)": "most"}, "percentunit"),
        Panel("Spool", {"thumbwheel_serving_spool_waiting_bytes": "{{instance}}"}, "bytes"),
        Panel("Split", {"thumbwheel_serving_split_revision": "{{instance}}"}),
    ),
)

ROLLOUT = Dashboard(
    "thumbwheel-rollout",
    "Thumbwheel: canary against stable",
    (
        Panel("Canary's share", {"thumbwheel:canary_share:ratio": "share"}, "percentunit"),
        Panel(
            "Gain of the canary",
            {"thumbwheel:gain:points": "{{of}}, {{bound}}"},
            "percentunit",
            "Its rate less stable's. Above 0 with its low bound it is better.",
        ),
        Panel(
            "Live KL of the canary",
            {
                "thumbwheel:kl:nats": "to {{to}}, {{bound}}",
                "thumbwheel:kl_budget:nats": "budget to {{to}}",
                "thumbwheel:stable_kl:nats": "stable to base, {{bound}}",
            },
            "short",
            "In nats an answer.",
        ),
        Panel(
            "Answers on trial",
            {f"max by (arm) (thumbwheel_ops_trial_completions{_LEADER})": "{{arm}}"},
        ),
        Panel(
            "Thumbs on trial",
            {f"max by (arm, thumb) (thumbwheel_ops_trial_thumbs{_LEADER})": "{{arm}}, {{thumb}}"},
        ),
        Panel("Failures", {"thumbwheel:error_ratio:rate5m": "{{adapter}}"}, "percentunit"),
        Panel("First token, p95", {"thumbwheel:first_token_seconds:p95": "{{adapter}}"}, "s"),
        Panel("Guardrails broken", {"thumbwheel:guardrail_broken:bool": "{{guardrail}}"}),
        Panel(
            "Not loaded",
            {
                "sum by (canary) (rate(thumbwheel_serving_canary_fallbacks_total[5m]))"
                " or vector(0)": "{{canary}}"
            },
            "reqps",
        ),
        Panel(
            "Decisions",
            {"sum by (decision) (rate(thumbwheel_ops_decisions_total[5m]))": "{{decision}}"},
        ),
        Panel(
            "Paused",
            {
                f"max(thumbwheel_ops_paused{_LEADER})": "paused",
                "sum(thumbwheel_ops_leads)": "leaders",
            },
        ),
        Panel(
            "Since the last tick",
            {"time() - max(thumbwheel_ops_last_tick_timestamp_seconds)": "s"},
            "s",
        ),
    ),
)

LOOP = Dashboard(
    "thumbwheel-loop",
    "Thumbwheel: from verdicts to adapters",
    (
        Panel(
            "Verdicts",
            {"sum by (kind) (rate(thumbwheel_serving_verdicts_total[5m]))": "{{kind}}"},
            "short",
            "A second.",
        ),
        Panel(
            "Examples settled",
            {"sum by (kind) (rate(thumbwheel_feedback_examples_total[5m]))": "{{kind}}"},
        ),
        Panel(
            "Left out",
            {
                "sum(rate(thumbwheel_feedback_quarantined_total[5m])) or vector(0)": "quarantined",
                "sum(rate(thumbwheel_feedback_late_total[5m])) or vector(0)": "late",
                "sum(rate(thumbwheel_feedback_repeated_total[5m])) or vector(0)": "repeated",
            },
        ),
        Panel("Worker behind", {"sum by (topic) (thumbwheel_feedback_lag_records)": "{{topic}}"}),
        Panel(
            "Waiting for verdicts",
            {"sum by (topic) (thumbwheel_feedback_waiting_records)": "{{topic}}"},
        ),
        Panel(
            "Lost or not read",
            {
                "sum(increase(thumbwheel_feedback_dead_letters_total[5m])) or vector(0)": "dead",
                "sum(increase(thumbwheel_feedback_missed_records_total[5m])) or vector(0)": "gone",
                "sum(increase(thumbwheel_serving_completions_lost_total[5m]))": "lost",
            },
        ),
        Panel("Lessons that wait", {"max(thumbwheel_trainer_waiting_lessons)": "lessons"}),
        Panel("Rounds", {"max by (outcome) (thumbwheel_trainer_rounds_total)": "{{outcome}}"}),
        Panel(
            "How long rounds take",
            {"max(thumbwheel_trainer_last_round_seconds)": "the last"},
            "s",
        ),
        Panel(
            "KL of the newest adapter",
            {"max by (reference) (thumbwheel_trainer_kl_nats)": "to {{reference}}"},
        ),
        Panel(
            "Gates of the newest candidate",
            {"min by (gate) (thumbwheel_trainer_gate_passed)": "{{gate}}"},
        ),
        Panel(
            "Scores of the newest candidate",
            {"max by (score) (thumbwheel_trainer_score)": "{{score}}"},
        ),
    ),
)

DASHBOARDS = (LOOP, ROLLOUT, SERVING)


def queries() -> Iterator[tuple[Panel, str]]:
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            for query in panel.queries:
                yield panel, query


def drawn(dashboard: Dashboard) -> dict[str, Any]:
    """As Grafana reads it."""
    ask = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    return {
        "uid": dashboard.name,
        "title": dashboard.title,
        "tags": ["thumbwheel"],
        "schemaVersion": _SCHEMA,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [ask]},
        "panels": [_panel(number, panel) for number, panel in enumerate(dashboard.panels)],
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(number, 24 // _WIDTH)
    targets = [
        {"refId": chr(ord("A") + place), "expr": expression, "legendFormat": legend}
        for place, (expression, legend) in enumerate(panel.queries.items())
    ]
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.told,
        "datasource": _DATASOURCE,
        "gridPos": {"x": _WIDTH * column, "y": _HEIGHT * row, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [target | {"datasource": _DATASOURCE} for target in targets],
    }


def write(folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for dashboard in DASHBOARDS:
        path = folder / f"{dashboard.name}.json"
        path.write_text(json.dumps(drawn(dashboard), indent=2) + "\n")
        written.append(path)
    return written


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        raise SystemExit(f"python -m ops.dashboards: {sys.argv[1:]}; expected one folder")
    for path in write(Path(sys.argv[1])):
        print(path)


if __name__ == "__main__":
    main()
