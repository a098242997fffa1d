"""The chart as Kubernetes would get it: whole, locked up, and of settings that there are."""

import json
import os
import re
import subprocess
from itertools import product
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from feedback.settings import Settings as Feedback
from ops.dashboards import write
from ops.settings import Settings as Ops
from serving.settings import Settings as Serving
from tests.helm.chart import (
    CHART,
    EXAMPLES,
    ROOT,
    Manifest,
    complaints,
    env,
    helm,
    of,
    pods,
    rendered,
)
from tests.helm.values import PAGE, page, table
from trainer.settings import Settings as Trainer

MINORS = ("1.35", "1.36", "1.37")
# The Prometheus Operator's and the Gateway API's, whose schemas come with them.
FOREIGN = {"PodMonitor", "PrometheusRule", "HTTPRoute"}
GIT = ("--set", "rollout.told=git", "--set", "secret.name=mine")
KAFKA = ("--set", "log=kafka://kafka:9092")
MODEL = ("--set", "model.path=Qwen/Qwen3-8B")
TOGGLES = [
    ("gateway.place=alone", "gateway.place=inside"),
    ("gateway.autoscaling.enabled=true", "networkPolicy.enabled=false"),
    (
        "trainer.nodes=1,dashboards.enabled=true",
        "trainer.nodes=2,networkPolicy.monitoring[0].podSelector.matchLabels.app=prometheus",
    ),
    ("secret.name=", "secret.name=mine,secret.engineKey=engine"),
    ("data.existingClaim=,score.enabled=false", "data.existingClaim=mine,monitoring.operator=true"),
]


def set_all(values: tuple[str, ...]) -> list[str]:
    return [word for value in values for word in ("--set", value)]


@pytest.mark.parametrize("values", EXAMPLES, ids=lambda path: path.stem)
def test_the_linter_finds_nothing(values: Path) -> None:
    done = helm("lint", "--strict", CHART, "-f", values)
    assert (done.returncode, complaints(done)) == (0, ""), done.stdout
    assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize("values", EXAMPLES, ids=lambda path: path.stem)
def test_each_example_is_what_kubernetes_takes(values: Path) -> None:
    take(rendered("-f", values))


@pytest.mark.parametrize("values", list(product(*TOGGLES)), ids=lambda values: ",".join(values))
def test_each_mixture_of_values_is_what_kubernetes_takes(values: tuple[str, ...]) -> None:
    take(rendered(*MODEL, *KAFKA, *set_all(values)))


def take(manifests: list[Manifest]) -> None:
    names = [(one["kind"], one["metadata"]["name"]) for one in manifests]
    assert len(set(names)) == len(names)
    for one, minor in product(manifests, MINORS):
        if one["kind"] not in FOREIGN:
            kubernetes_validate.validate(one, minor, strict=True)


@pytest.mark.parametrize("values", EXAMPLES, ids=lambda path: path.stem)
def test_no_pod_may_do_more_than_it_must(values: Path) -> None:
    """As the `restricted` Pod Security level has it, and a root that cannot be written."""
    manifests = rendered("-f", values)
    accounts = {one["metadata"]["name"] for one in manifests if one["kind"] == "ServiceAccount"}
    for name, pod in pods(manifests):
        about = pod["securityContext"]
        assert about["runAsNonRoot"] is True and about["runAsUser"] > 0, name
        assert about["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["serviceAccountName"] in accounts, name
        assert pod["enableServiceLinks"] is False, name  # they look like our settings
        for container in pod["containers"]:
            locked = container["securityContext"]
            assert locked["allowPrivilegeEscalation"] is False, name
            assert locked["readOnlyRootFilesystem"] is True, name
            assert locked["capabilities"] == {"drop": ["ALL"]}, name
            assert "latest" not in container["image"], name


@pytest.mark.parametrize("values", EXAMPLES, ids=lambda path: path.stem)
def test_pods_are_told_settings_that_there_are(values: Path) -> None:
    known = {name for room in (Feedback, Trainer, Serving, Ops) for name in room.model_fields}
    known |= set(re.findall(r"^\| `(engine_\w+)` \|", docs(), re.M))
    for name, pod in pods(rendered("-f", values)):
        for container in pod["containers"]:
            told = {one.removeprefix("THUMBWHEEL_") for one in env(container) if "WHEEL_" in one}
            assert {one.lower() for one in told} <= known, name


def docs() -> str:
    return (ROOT / "docs" / "configuration.md").read_text()


@pytest.mark.parametrize("values", EXAMPLES, ids=lambda path: path.stem)
def test_each_mount_has_its_volume_and_each_probe_its_port(values: Path) -> None:
    manifests = rendered("-f", values)
    claims = {
        one["metadata"]["name"]: [
            claim["metadata"]["name"] for claim in one["spec"].get("volumeClaimTemplates", [])
        ]
        for one in manifests
        if one["kind"] == "StatefulSet"
    }
    for name, pod in pods(manifests):
        volumes = {one["name"] for one in pod["volumes"]} | {*claims.get(name, [])}
        for container in pod["containers"]:
            assert {one["name"] for one in container["volumeMounts"]} == volumes, name
            ports = {one["name"] for one in container.get("ports", [])}
            probes = [found for key, found in container.items() if key.endswith("Probe")]
            assert {one["httpGet"]["port"] for one in probes} <= ports, name


def test_every_engine_is_asked_by_its_own_name() -> None:
    manifests = rendered(*MODEL, *KAFKA, "--set", "engine.replicas=2")
    (ops,) = of(manifests, "Deployment", "ops")["spec"]["template"]["spec"]["containers"]
    assert env(ops)["THUMBWHEEL_ENGINE_URL"] == (
        "http://tw-thumbwheel-engine-0.tw-thumbwheel-engine:8000,"
        "http://tw-thumbwheel-engine-1.tw-thumbwheel-engine:8000"
    )


@pytest.mark.parametrize("place", ["alone", "inside"])
def test_an_engine_that_is_stopped_is_first_told_to_take_nothing_new(
    place: str, tmp_path: Path
) -> None:
    manifests = rendered(*MODEL, *KAFKA, "--set", f"gateway.place={place}")
    (engine,) = of(manifests, "StatefulSet", "engine")["spec"]["template"]["spec"]["containers"]
    told = Path(env(engine)["THUMBWHEEL_ENGINE_LEAVING"])
    assert str(told.parent) in {one["mountPath"] for one in engine["volumeMounts"]}
    here = {"PATH": os.environ["PATH"], "THUMBWHEEL_ENGINE_LEAVING": str(tmp_path / "leaving")}
    subprocess.run(engine["lifecycle"]["preStop"]["exec"]["command"], env=here, check=True)
    assert (tmp_path / "leaving").exists()


def test_keys_are_for_those_alone_who_need_them() -> None:
    manifests = rendered(*MODEL, *KAFKA)
    told = {
        name: {key for key in env(container) if key.endswith(("SECRET", "KEY"))}
        for name, pod in pods(manifests)
        for container in pod["containers"]
    }
    assert {name: keys for name, keys in told.items() if keys} == {
        "tw-thumbwheel-gateway": {"THUMBWHEEL_SECRET"},
        "tw-thumbwheel-ops": {"THUMBWHEEL_OPS_KEY"},
    }


def test_settings_and_the_plan_arrive_as_they_were_written() -> None:
    queries = [{"name": "p99", "promql": 'x{a="$canary"}', "most": 0.2}]
    more = {"settings": {"ops_queries": queries, "feedback_window_max_bytes": 20_000_000_000}}
    plan = {"method": "rloo", "rank": 8}
    manifests = rendered(
        *MODEL,
        *KAFKA,
        *("--set-json", f"settings={json.dumps(more['settings'])}"),
        *("--set-json", f"plan={json.dumps(plan)}"),
    )
    (ops,) = of(manifests, "Deployment", "ops")["spec"]["template"]["spec"]["containers"]
    assert json.loads(env(ops)["THUMBWHEEL_OPS_QUERIES"]) == queries
    assert env(ops)["THUMBWHEEL_FEEDBACK_WINDOW_MAX_BYTES"] == "20000000000"
    assert json.loads(of(manifests, "ConfigMap", "plan")["data"]["plan.json"]) == plan


def test_ops_alone_is_given_a_token_and_may_change_one_map() -> None:
    manifests = rendered(*MODEL, *KAFKA)
    asks = {name for name, pod in pods(manifests) if pod["automountServiceAccountToken"]}
    assert asks == {"tw-thumbwheel-ops"}
    rules = of(manifests, "Role", "ops")["rules"]
    assert [(one["resources"], one.get("resourceNames"), one["verbs"]) for one in rules] == [
        (["configmaps"], ["tw-thumbwheel-model"], ["get", "patch", "delete"]),
        (["configmaps"], None, ["create"]),
        (["secrets"], None, ["get", "list", "create", "update", "delete"]),
    ]


def test_with_gitops_ops_may_read_one_map_and_nothing_else() -> None:
    manifests = rendered(*MODEL, *KAFKA, *GIT)
    (rule,) = of(manifests, "Role", "ops")["rules"]
    assert (rule["resourceNames"], rule["verbs"]) == (["tw-thumbwheel-model"], ["get"])
    (ops,) = of(manifests, "Deployment", "ops")["spec"]["template"]["spec"]["containers"]
    assert env(ops)["THUMBWHEEL_OPS_RELEASE"] == "tw-thumbwheel-model"
    assert env(ops)["THUMBWHEEL_OPS_RELEASE_FILE"] == "/data/rollout/values.yaml"


def test_with_gitops_the_values_say_what_serves() -> None:
    def said(*values: str) -> Manifest:
        found = rendered(*MODEL, *KAFKA, *GIT, *set_all(values))
        return dict(of(found, "ConfigMap", "model")["data"])

    assert said() == {"revision": "1", "stable": "base", "split": "0"}
    told = said("rollout.stable=model-v4", "rollout.split=12")
    assert told == {"revision": "1", "stable": "model-v4", "split": "12"}


def test_what_is_extra_reaches_every_pod() -> None:
    keys = {"name": "keys", "secret": {"secretName": "clients"}}
    mount = {"name": "keys", "mountPath": "/keys", "readOnly": True}
    for name, pod in pods(
        rendered(
            *(*MODEL, *KAFKA, "--set", "extra.env.AWS_REGION=eu"),
            *("--set-json", f"extra.volumes={json.dumps([keys])}"),
            *("--set-json", f"extra.mounts={json.dumps([mount])}"),
        )
    ):
        assert keys in pod["volumes"], name
        for container in pod["containers"]:
            assert mount in container["volumeMounts"], name
            assert env(container)["AWS_REGION"] == "eu", name


def test_alerts_are_those_of_the_repository() -> None:
    manifests = rendered(*MODEL, *KAFKA, "--set", "monitoring.operator=true")
    told = {
        one["metadata"]["name"].removeprefix("tw-thumbwheel-alerts-"): one["spec"]["groups"]
        for one in manifests
        if one["kind"] == "PrometheusRule"
    }
    kept = {path.stem for path in (ROOT / "ops" / "alerts").glob("*.yaml")}
    assert told.keys() == kept
    assert all(group["rules"] for groups in told.values() for group in groups)


def test_dashboards_are_those_of_the_code(tmp_path: Path) -> None:
    write(tmp_path)
    kept = {path.name: path.read_text() for path in (CHART / "dashboards").iterdir()}
    assert kept == {path.name: path.read_text() for path in tmp_path.iterdir()}, (
        "python -m ops.dashboards helm/thumbwheel/dashboards writes them"
    )
    told = dict[str, str]()
    for one in rendered(*MODEL, *KAFKA, "--set", "dashboards.enabled=true"):
        if one["metadata"]["labels"].get("grafana_dashboard"):
            told |= one["data"]
    assert told == kept


def test_a_route_leads_to_the_gateways() -> None:
    route = ("route.enabled=true", "route.parentRefs[0].name=public", "route.hostnames[0]=chat")
    found = of(rendered(*MODEL, *KAFKA, *set_all(route)), "HTTPRoute", "gateway")["spec"]
    assert found["parentRefs"] == [{"name": "public"}] and found["hostnames"] == ["chat"]
    assert found["rules"][0]["backendRefs"] == [{"name": "tw-thumbwheel-gateway", "port": 80}]


def test_where_adapters_lie_elsewhere_ops_copies_them_and_engines_need_no_data_volume() -> None:
    manifests = rendered(*MODEL, *KAFKA, "--set", "engine.adapters=s3://bucket/adapters")
    told = {
        name: env(container) for name, pod in pods(manifests) for container in pod["containers"]
    }
    volumes = {name: {one["name"] for one in pod["volumes"]} for name, pod in pods(manifests)}
    away = {name for name, said in told.items() if said["THUMBWHEEL_ADAPTERS"] != "/data/adapters"}
    assert (
        away == {name for name in told if "data" not in volumes[name]} == {"tw-thumbwheel-engine"}
    )
    copies = {
        name: said["THUMBWHEEL_OPS_COPIES"]
        for name, said in told.items()
        if "THUMBWHEEL_OPS_COPIES" in said
    }
    assert copies == {"tw-thumbwheel-ops": "s3://bucket/adapters"}


def test_a_gateway_inside_with_a_log_on_the_data_volume_keeps_that_volume() -> None:
    alone = ("gateway.place=inside", "engine.replicas=1", "ops.replicas=1")
    words = [word for one in alone for word in ("--set", one)]
    manifests = rendered(*MODEL, *words, "--set", "engine.adapters=s3://bucket/adapters")
    engine = of(manifests, "StatefulSet", "engine")["spec"]["template"]["spec"]
    assert "data" in {one["name"] for one in engine["volumes"]}


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (("gateway.place=front",), "'/gateway/place': value must be one of 'alone', 'inside'"),
        (("engine.replicas=0",), "'/engine/replicas': minimum: got 0, want 1"),
        (("gatway.replicas=2",), "additional properties 'gatway' not allowed"),
        (("log=redis://x",), "'/log': 'redis://x' does not match pattern"),
        (("data.size=50",), "'/data/size'"),
        (("settings.alpha=1",), "'alpha' does not match pattern"),
        (("trainer.schedule=hourly",), "'/trainer/schedule': 'hourly' does not match pattern"),
        (("log=",), "log is empty: a file on one node; expected kafka://HOST:PORT, or one gateway"),
        (("ingress.enabled=true",), "ingress.host is not set; expected the name"),
        (("rollout.stable=a b",), "'/rollout/stable': 'a b' does not match pattern"),
        (("rollout.told=flux",), "'/rollout/told': value must be one of 'helm', 'git'"),
        (("rollout.stable=model-v4",), "is set, and rollout.told is helm"),
        (("rollout.split=4",), "is set, and rollout.told is helm"),
        (("rollout.told=git",), "secret.name is not set, and rollout.told is git"),
        (("route.enabled=true",), "route.parentRefs is not set; expected the Gateways"),
        (("engine.gpus=-1",), "'/engine/gpus': minimum: got -1, want 0"),
        (("model.path=",), "model.path is not set; expected a model's name, or model.volume"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(values: tuple[str, ...], complaint: str) -> None:
    done = helm("template", "tw", CHART, *MODEL, *KAFKA, *set_all(values))
    assert done.returncode == 1
    assert complaint in done.stderr


def test_every_value_is_in_the_docs_with_its_default() -> None:
    assert PAGE.read_text() == page(), "python -m tests.helm.values writes them"
    assert [line for line in table().splitlines() if line.endswith("|  |")] == []


def test_every_value_is_known_to_the_schema() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert differs(yaml.safe_load((CHART / "values.yaml").read_text()), schema) == []


def differs(values: Manifest, schema: Manifest, at: str = "") -> list[str]:
    """Names that are in one of them only."""
    known = schema.get("properties")
    if known is None:  # of what operators write as they like
        return []
    found = [f"{at}/{name}" for name in (values.keys() ^ known.keys()) - {"global"}]
    for name in values.keys() & known.keys():
        if isinstance(values[name], dict):
            found += differs(values[name], known[name], f"{at}/{name}")
    return found
