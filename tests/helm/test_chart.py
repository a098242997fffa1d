"""The chart as Kubernetes would get it: whole, locked up, and of settings that there are."""

import json
import os
import subprocess
from itertools import product
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from ops.dashboards import write
from tests.helm.chart import (
    CHART,
    EXAMPLES,
    ROOT,
    Manifest,
    container_of,
    env,
    helm,
    of,
    pods,
    rendered,
    templates,
)
from tests.helm.known import settings, wanted
from tests.helm.values import PAGE, page, table
from trainer.plan import Plan

PUBLIC = {"/v1", "/thumbwheel.js", "/openapi.json"}
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
        "trainer.nodes=2,trainer.runtimeClassName=nvidia,trainer.gpus=0",
    ),
    ("secret.name=", "secret.name=mine,secret.engineKey=engine"),
    (
        "data.existingClaim=,score.enabled=false,data.accessModes={ReadWriteOnce}",
        "data.existingClaim=mine,monitoring.operator=true,networkPolicy.monitoring[0].podSelector.matchLabels.app=prometheus",
    ),
]


def set_all(values: tuple[str, ...]) -> list[str]:
    return [word for value in values for word in ("--set", value)]


@pytest.mark.parametrize("values", EXAMPLES, ids=lambda path: path.stem)
def test_the_linter_finds_nothing(values: Path) -> None:
    done = helm("lint", "--strict", CHART, "-f", values)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
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
    known = json.loads(settings())
    for name, pod in pods(rendered("-f", values)):
        for container in pod["containers"]:
            told = {one.removeprefix("THUMBWHEEL_") for one in env(container) if "WHEEL_" in one}
            assert {one.lower() for one in told} <= known.keys(), name


@pytest.mark.parametrize(
    ("value", "anew"),
    [
        ("settings.ops_alpha=0.1", {"ops"}),
        ("settings.serving_max_in_flight=9", {"gateway"}),
        ("settings.engine_cache_adapters=9", {"engine"}),
        ("settings.trainer_min_examples=9", {"trainer", "score"}),
        ("plan.rank=8", {"score"}),  # rounds read it as they begin
        ("worker.replicas=2", {"worker"}),
        ("engine.replicas=2", {"gateway", "trainer", "ops"}),
    ],
)
def test_a_change_starts_those_anew_whom_it_concerns(value: str, anew: set[str]) -> None:
    before = templates(rendered(*MODEL, *KAFKA))
    after = templates(rendered(*MODEL, *KAFKA, "--set", value))
    pairs = zip(before, after, strict=True)
    changed = {name for (name, old), (_, new) in pairs if old != new}
    assert changed == {f"tw-thumbwheel-{room}" for room in anew}


def test_no_variable_is_told_twice_and_the_engines_own_wins() -> None:
    words = ("engine.env.HOME=/mine", "engine.env.HF_HUB_OFFLINE=0", "extra.env.HOME=/ours")
    manifests = rendered(*MODEL, *KAFKA, *set_all((*words, "secret.engineKey=engine")))
    for name, pod in pods(manifests):
        for container in pod["containers"]:
            names = [one["name"] for one in container["env"]]
            assert len(names) == len({*names}), name
    engine = container_of(manifests, "StatefulSet", "engine")
    assert (env(engine)["HOME"], env(engine)["HF_HUB_OFFLINE"]) == ("/mine", "0")
    assert env(engine)["VLLM_API_KEY"] == "engine"


def test_what_is_set_to_null_is_as_it_was() -> None:
    unset = ("--set-json", 'settings={"ops_prometheus_url": null, "serving_token_keys": null}')
    ops = container_of(rendered(*MODEL, *KAFKA, *unset), "Deployment", "ops")
    assert "THUMBWHEEL_OPS_PROMETHEUS_URL" not in env(ops)


def test_rounds_on_many_nodes_are_what_the_plan_says() -> None:
    words = ("trainer.nodes=2", "trainer.processes=4", "plan.rank=8")
    plan = of(rendered(*MODEL, *KAFKA, *set_all(words)), "ConfigMap", "plan")["data"]["plan.json"]
    read = Plan.model_validate_json(plan)
    assert (read.nodes, read.processes, read.rank) == (2, 4, 8)


def test_what_one_node_alone_can_mount_holds_all_its_pods_there() -> None:
    once = set_all(("data.accessModes={ReadWriteOnce}", "data.nodeSelector.gpu=yes"))
    for name, pod in pods(rendered(*MODEL, *KAFKA, *once)):
        (near,) = pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert near["labelSelector"] == {"matchLabels": {"app.kubernetes.io/instance": "tw"}}, name
        assert "topologySpreadConstraints" not in pod
        assert pod["nodeSelector"] == {"gpu": "yes"}


def test_engines_apart_may_be_elsewhere() -> None:
    words = ("data.accessModes={ReadWriteOnce}", "engine.adapters=s3://b/a")
    manifests = rendered(*MODEL, *KAFKA, *set_all(words))
    assert "affinity" not in of(manifests, "StatefulSet", "engine")["spec"]["template"]["spec"]
    worker = of(manifests, "Deployment", "worker")["spec"]["template"]["spec"]
    (near,) = worker["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (but,) = near["labelSelector"]["matchExpressions"]
    assert (but["operator"], but["values"]) == ("NotIn", ["engine"])


def test_a_secret_is_told_by_where_it_lies() -> None:
    where = {"secretKeyRef": {"name": "mine", "key": "tokens"}}
    told = {"serving_token_keys": {"valueFrom": where}}
    more = {"HF_TOKEN": {"valueFrom": where}, "NUMBER": 10_000_000}
    manifests = rendered(
        *MODEL,
        *KAFKA,
        *("--set-json", f"settings={json.dumps(told)}"),
        *("--set-json", f"extra.env={json.dumps(more)}"),
        *("--set-json", f"engine.env={json.dumps(more)}"),
    )
    gateway = container_of(manifests, "StatefulSet", "gateway")
    found = {one["name"]: one for one in gateway["env"]}
    assert found["THUMBWHEEL_SERVING_TOKEN_KEYS"]["valueFrom"] == where
    assert found["HF_TOKEN"]["valueFrom"] == where
    engine = container_of(manifests, "StatefulSet", "engine")
    assert [one["value"] for one in engine["env"] if one["name"] == "NUMBER"] == ["10000000"]


@pytest.mark.parametrize(("gpus", "all_of_them"), [(0, True), (1, False)])
def test_who_shares_a_gpu_is_shown_it(gpus: int, all_of_them: bool) -> None:
    words = (f"trainer.gpus={gpus}", "trainer.runtimeClassName=nvidia")
    told = {
        name: env(container)
        for name, pod in pods(rendered(*MODEL, *KAFKA, *set_all(words)))
        for container in pod["containers"]
    }
    shown = {name for name, said in told.items() if said.get("NVIDIA_VISIBLE_DEVICES") == "all"}
    assert shown == ({"tw-thumbwheel-trainer"} if all_of_them else set())


def test_the_world_is_shown_no_metrics() -> None:
    words = ("ingress.enabled=true", "ingress.host=chat.example.com")
    route = ("route.enabled=true", "route.parentRefs[0].name=public")
    manifests = rendered(*MODEL, *KAFKA, *set_all((*words, *route)))
    (rule,) = of(manifests, "Ingress", "gateway")["spec"]["rules"]
    paths = {one["path"] for one in rule["http"]["paths"]}
    (rule,) = of(manifests, "HTTPRoute", "gateway")["spec"]["rules"]
    assert paths == {one["path"]["value"] for one in rule["matches"]} == PUBLIC


def test_an_alert_says_where_your_runbook_is() -> None:
    words = ("monitoring.operator=true", "networkPolicy.enabled=false")
    manifests = rendered(*MODEL, *KAFKA, *set_all((*words, "monitoring.runbooks=https://wiki/tw/")))
    rules = of(manifests, "PrometheusRule", "alerts-ops")["spec"]["groups"]
    (told,) = {
        rule["annotations"]["runbook_url"]
        for group in rules
        for rule in group["rules"]
        if rule.get("alert") == "NoLeader"
    }
    assert told == "https://wiki/tw/runbook.md#noleader"


def test_what_the_chart_knows_of_the_rooms_is_so() -> None:
    for path, text in wanted().items():
        assert path.read_text() == text, f"python -m tests.helm.known writes {path.name}"


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
    ops = container_of(manifests, "Deployment", "ops")
    assert env(ops)["THUMBWHEEL_ENGINE_URL"] == (
        "http://tw-thumbwheel-engine-0.tw-thumbwheel-engine:8000,"
        "http://tw-thumbwheel-engine-1.tw-thumbwheel-engine:8000"
    )


@pytest.mark.parametrize("place", ["alone", "inside"])
def test_an_engine_that_is_stopped_is_first_told_to_take_nothing_new(
    place: str, tmp_path: Path
) -> None:
    manifests = rendered(*MODEL, *KAFKA, "--set", f"gateway.place={place}")
    engine = container_of(manifests, "StatefulSet", "engine")
    told = Path(env(engine)["THUMBWHEEL_ENGINE_LEAVING"])
    assert str(told.parent) in {one["mountPath"] for one in engine["volumeMounts"]}
    here = {"PATH": os.environ["PATH"], "THUMBWHEEL_ENGINE_LEAVING": str(tmp_path / "leaving")}
    subprocess.run(engine["lifecycle"]["preStop"]["exec"]["command"], env=here, check=True)
    assert (tmp_path / "leaving").exists()


def test_who_is_stopped_is_first_asked_no_more() -> None:
    manifests = rendered(*MODEL, *KAFKA)
    for kind, room in (("StatefulSet", "gateway"), ("Deployment", "ops")):
        told = container_of(manifests, kind, room)["lifecycle"]
        assert told == {"preStop": {"sleep": {"seconds": 5}}}


def test_keys_are_for_those_alone_who_need_them() -> None:
    manifests = rendered(*MODEL, *KAFKA, "--set", "secret.engineKey=engine")
    told = {
        name: {key for key in env(container) if key.endswith(("SECRET", "KEY"))}
        for name, pod in pods(manifests)
        for container in pod["containers"]
    }
    assert {name: keys for name, keys in told.items() if keys} == {
        "tw-thumbwheel-gateway": {"THUMBWHEEL_SECRET", "THUMBWHEEL_ENGINE_KEY"},
        "tw-thumbwheel-engine": {"VLLM_API_KEY", "THUMBWHEEL_ENGINE_KEY"},
        "tw-thumbwheel-trainer": {"THUMBWHEEL_ENGINE_KEY"},  # it may draw from the engines
        "tw-thumbwheel-ops": {"THUMBWHEEL_OPS_KEY", "THUMBWHEEL_ENGINE_KEY"},
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
    ops = container_of(manifests, "Deployment", "ops")
    assert json.loads(env(ops)["THUMBWHEEL_OPS_QUERIES"]) == queries
    worker = container_of(manifests, "Deployment", "worker")
    assert env(worker)["THUMBWHEEL_FEEDBACK_WINDOW_MAX_BYTES"] == "20000000000"
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
    ops = container_of(manifests, "Deployment", "ops")
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
    heard = "networkPolicy.monitoring[0].podSelector.matchLabels.app=prometheus"
    manifests = rendered(*MODEL, *KAFKA, *set_all(("monitoring.operator=true", heard)))
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


def test_a_model_that_is_downloaded_is_kept_on_the_data_volume() -> None:
    def homes(*values: str) -> dict[str, str]:
        manifests = rendered("--set", "model.path=org/model", *KAFKA, *set_all(values))
        told = ((name, env(one)) for name, pod in pods(manifests) for one in pod["containers"])
        return {name: said["HF_HOME"] for name, said in told if "HF_HOME" in said}

    rounds = {f"tw-thumbwheel-{room}": "/data/models" for room in ("trainer", "score")}
    assert homes() == rounds | {"tw-thumbwheel-engine": "/data/models"}
    assert homes("engine.adapters=s3://bucket/adapters") == rounds
    assert homes("engine.env.HF_HOME=/mine") == rounds | {"tw-thumbwheel-engine": "/mine"}
    assert not homes("model.volume.persistentVolumeClaim.claimName=models")


def test_a_gateway_inside_with_a_log_on_the_data_volume_keeps_that_volume() -> None:
    alone = ("gateway.place=inside", "ops.replicas=1", "data.accessModes={ReadWriteOnce}")
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
        (("settings.alpha=1",), "settings.alpha is no setting; expected a name of docs/"),
        (("settings.ops_alfa=1",), "settings.ops_alfa is no setting; expected a name of docs/"),
        (("settings.ops_port=9999",), "settings.ops_port is the chart's own; expected it not to"),
        (("settings.ops_key=x",), "settings.ops_key is the chart's own; expected secret.opsKey"),
        (("settings.trainer_judge_key=x",), "trainer_judge_key is a secret; expected {valueFrom:"),
        (("extra.env.THUMBWHEEL_LOG=x",), "extra.env.THUMBWHEEL_LOG is a setting; expected sett"),
        (("plan.nope=1",), "'/plan': additional properties 'nope' not allowed"),
        (("plan.rank=lots",), "'/plan/rank': got string, want integer"),
        (("plan.nodes=2",), "plan.nodes is the chart's own; expected trainer.nodes"),
        (("log=kafka://k:9092?partitons=3",), "'/log': 'kafka://k:9092?partitons=3' does not"),
        (("engine.args={--max-loras=4}",), "expected --enable-lora among them"),
        (("data.accessModes={ReadWriteOncePod}",), "'/data/accessModes/0': value must be one of"),
        (("secret.name=Bad_Name",), "'/secret/name': 'Bad_Name' does not match pattern"),
        (("monitoring.operator=true",), "networkPolicy.monitoring is empty, and monitoring.oper"),
        (
            ("gateway.autoscaling.enabled=true", "gateway.autoscaling.maxReplicas=1"),
            "gateway.autoscaling.maxReplicas is 1; expected at least gateway.replicas, which is 2",
        ),
        (
            ("log=", "gateway.replicas=1"),
            "log is empty: a file, which only one node may write; expected kafka://HOST:PORT, or",
        ),
        (("trainer.schedule=hourly",), "'/trainer/schedule': 'hourly' does not match pattern"),
        (
            ("log=", "data.accessModes={ReadWriteOnce}"),
            "log is empty: a file on one node; expected kafka://HOST:PORT, or one gateway",
        ),
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
    if known is None or not values:  # of what operators write as they like
        return []
    found = [f"{at}/{name}" for name in (values.keys() ^ known.keys()) - {"global"}]
    for name in values.keys() & known.keys():
        if isinstance(values[name], dict):
            found += differs(values[name], known[name], f"{at}/{name}")
    return found
