"""What the chart knows of the rooms: the settings there are, the plan's fields, the alerts.

`python -m tests.helm.known` writes it into the chart, which knows no Python.
"""

import json
from pathlib import Path
from typing import Any

from feedback.settings import Settings as Feedback
from ops.settings import Settings as Ops
from serving.settings import PluginSettings
from serving.settings import Settings as Serving
from tests.helm.chart import CHART, ROOT
from trainer.plan import Plan
from trainer.settings import Settings as Trainer

SETTINGS, SCHEMA = CHART / "settings.json", CHART / "values.schema.json"
# The chart's own, and the value that says them; of the others pods rely on what they are.
_OWN = {
    "engine_key": "secret.engineKey",
    "engine_url": "engine.replicas",
    "feedback_workers": "worker.replicas",
    "log": "log",
    "model": "model.path or model.volume",
    "name": "name",
    "ops_copies": "engine.adapters",
    "ops_key": "secret.opsKey",
    "ops_release_file": "rollout.file",
    "ops_release_keeps": "rollout.keeps",
    "secret": "secret.name",
    "serving_drain_seconds": "gateway.drainSeconds",
    "trainer_plan": "plan",
}
_FIXED = (
    *("adapters", "engine_leaving", "examples", "feedback_metrics_host", "feedback_metrics_port"),
    *("feedback_window", "home", "ops_host", "ops_kubernetes_account", "ops_kubernetes_url"),
    *("ops_metrics_host", "ops_metrics_port", "ops_port", "ops_release", "serving_host"),
    *("serving_port", "serving_spool", "trainer_metrics_host", "trainer_metrics_port"),
    "trainer_state",
)


def settings() -> str:
    """To each name what keeps it from being set: nothing, that it is a secret, or who says it."""
    rooms = (Feedback, Trainer, Serving, PluginSettings, Ops)
    told = {
        name: "secret" if "SecretStr" in str(field.annotation) else ""
        for room in rooms
        for name, field in room.model_fields.items()
    }
    own = dict.fromkeys(_FIXED, "it not to be set") | _OWN
    assert own.keys() <= told.keys(), f"{own.keys() - told.keys()} are no settings any more"
    told |= own
    return json.dumps(dict(sorted(told.items())), indent=1) + "\n"


def schema() -> str:
    """The one that is there, with the plan's fields as they are now."""
    known: dict[str, Any] = json.loads(SCHEMA.read_text())
    plan = Plan.model_json_schema()
    fields = {name: _bare(field) for name, field in plan["properties"].items()}
    known["properties"]["plan"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": fields,
    }
    return json.dumps(known, indent=2) + "\n"


def _bare(field: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in field.items() if key not in ("title", "default")}


def alerts() -> dict[Path, str]:
    """Not links: what fetches a chart from a repository may leave those out."""
    found = sorted((ROOT / "ops" / "alerts").glob("*.yaml"))
    return {CHART / "alerts" / path.name: path.read_text() for path in found}


def wanted() -> dict[Path, str]:
    return {SETTINGS: settings(), SCHEMA: schema(), **alerts()}


if __name__ == "__main__":
    for path, text in wanted().items():
        path.write_text(text)
