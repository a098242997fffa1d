"""The node on which charts are tried is a real Kubernetes, and nothing of it stays."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cluster import images, leftovers
from tests.cluster.node import HOME, node
from tests.cluster.release import Cluster
from tests.cluster.servers import BRIDGE
from tests.helm.chart import tool

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        "KUBECONFIG" in os.environ, reason="the cluster is yours, none is made here"
    ),
]

_IMAGE = "localhost/greeter:1"
_DOCKERFILE = """\
ARG BASE
FROM $BASE
RUN python3 -m venv /v && /v/bin/pip install --quiet msgspec
USER 10001
CMD /v/bin/python -c 'import msgspec, os; print("up", os.getuid(), flush=True)' \\
  && exec /v/bin/python -m http.server 8000
"""
_SAFE = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
_CONTAINER = {"name": "greeter", "image": _IMAGE, "securityContext": _SAFE}
_READY = {"httpGet": {"path": "/", "port": 8000}, "periodSeconds": 1}
_LABELS = {"app": "greeter"}
# A Service is there a moment after its pods are.
_ASK = """\
import sys, time, urllib.request
for delay in (0.5, 1, 2, 0):
    try:
        print(urllib.request.urlopen(sys.argv[1], timeout=5).status)
        break
    except OSError as wrong:
        print(wrong, file=sys.stderr)
        time.sleep(delay)
"""
_CHART = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}"}
data: {word: "{{ .Values.word }}"}
"""


def _left() -> set[object]:
    """Of a node, on this machine."""
    bridge = Path("/sys/class/net") / BRIDGE
    found = {path for path in (bridge, HOME) if path.exists()}
    return found | leftovers.processes(HOME) | {*leftovers.mounts(HOME), *leftovers.chains()}


def _build(base: Path, folder: Path) -> Path:
    images.have_base(base)
    (folder / "Dockerfile").write_text(_DOCKERFILE)
    return images.built(
        folder / "Dockerfile",
        "",
        folder,
        _IMAGE,
        {"BASE": images.BASE},
        folder / "greeter.tar",
    )


def _manifest(kind: str, version: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _deployment(word: str) -> dict[str, Any]:
    container = {
        **_CONTAINER,
        "env": [{"name": "WORD", "value": word}],
        "readinessProbe": _READY,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    pod = {"containers": [container], "volumes": [claim], "terminationGracePeriodSeconds": 1}
    labels = {**_LABELS, "made-by": "deployment"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return _manifest("Deployment", "apps/v1", "greeter", spec)


def _service(name: str, **more: str) -> dict[str, Any]:
    spec = {"selector": _LABELS, "ports": [{"port": 80, "targetPort": 8000}], **more}
    return _manifest("Service", "v1", name, spec)


def _alone(name: str) -> dict[str, Any]:
    """A pod with a name of its own in the headless Service."""
    pod = {"hostname": name, "subdomain": "each", "terminationGracePeriodSeconds": 1}
    ready = {**_CONTAINER, "readinessProbe": _READY}
    made = _manifest("Pod", "v1", name, {**pod, "containers": [ready]})
    made["metadata"]["labels"] = _LABELS
    return made


def test_a_node_whose_user_gives_up_leaves_nothing(tmp_path: Path) -> None:
    before = _left()
    with pytest.raises(KeyboardInterrupt), node(tmp_path / "node") as one:
        one.load(_build(one.base, tmp_path))
        cluster = Cluster(one.kubeconfig, "default")
        cluster.apply(_alone("greeter"))
        cluster.kubectl("wait", "--for=condition=Ready", "pod/greeter", "--timeout=60s")
        assert _left() > before
        raise KeyboardInterrupt
    assert _left() <= before


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with node(folder / "node") as one:
        one.load(_build(one.base, folder))
        cluster = Cluster(one.kubeconfig, "tried")
        cluster.kubectl("create", "namespace", cluster.namespace)
        enforced = "pod-security.kubernetes.io/enforce=restricted"
        cluster.kubectl("label", "namespace", cluster.namespace, enforced)
        modes = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
        cluster.apply(
            _manifest("PersistentVolumeClaim", "v1", "data", modes),
            _service("greeter"),
            _service("each", clusterIP="None"),
            _deployment("first"),
            _alone("one"),
        )
        cluster.kubectl("rollout", "status", "deployment/greeter", "--timeout=90s")
        cluster.kubectl("wait", "--for=condition=Ready", "pod/one", "--timeout=60s")
        yield cluster


def test_it_is_the_kubernetes_that_it_says(cluster: Cluster) -> None:
    said = json.loads(cluster.kubectl("version", "--output=json"))["serverVersion"]
    assert (said["major"], said["minor"]) == ("1", "35")
    assert said["gitVersion"].startswith("v1.35.")


def test_who_was_granted_nothing_may_do_nothing(cluster: Cluster) -> None:
    with pytest.raises(AssertionError, match="forbidden"):
        cluster.kubectl("get", "pods", "--as=system:serviceaccount:tried:default")


def test_a_pod_that_is_not_restricted_is_refused(cluster: Cluster) -> None:
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        cluster.kubectl("run", "loose", f"--image={_IMAGE}")


@pytest.mark.parametrize("name", ["greeter", "greeter.tried.svc.cluster.local", "each", "one.each"])
def test_services_and_their_pods_are_reached_by_name(cluster: Cluster, name: str) -> None:
    port = 80 if name.startswith("greeter") else 8000
    asked = cluster.kubectl("exec", "pod/one", "--", "python3", "-c", _ASK, f"http://{name}:{port}")
    assert asked.strip() == "200"


def test_no_other_name_is_known(cluster: Cluster) -> None:
    ask = "import socket; socket.getaddrinfo('nowhere.example', 80)"
    with pytest.raises(AssertionError, match="Name or service not known"):
        cluster.kubectl("exec", "pod/one", "--", "python3", "-c", ask)


def test_a_pod_reaches_the_api(cluster: Cluster) -> None:
    ask = (
        "import ssl, urllib.request as u;"
        "trusted = ssl.create_default_context("
        "cafile='/var/run/secrets/kubernetes.io/serviceaccount/ca.crt');"
        "print(u.urlopen('https://kubernetes.default.svc/version', context=trusted).status)"
    )
    assert cluster.kubectl("exec", "pod/one", "--", "python3", "-c", ask).strip() == "200"


def test_what_a_container_says_is_read(cluster: Cluster) -> None:
    assert "up 10001" in cluster.kubectl("logs", "pod/one")


def test_a_port_of_a_pod_is_forwarded(cluster: Cluster) -> None:
    command = [tool("kubectl"), "port-forward", "--namespace=tried", "pod/one", ":8000"]
    env = os.environ | {"KUBECONFIG": str(cluster.kubeconfig)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as forwarding:
        assert forwarding.stdout is not None
        address = forwarding.stdout.readline().split()[2]
        try:
            said = httpx.get(f"http://{address}/", trust_env=False)
        finally:
            forwarding.terminate()
    assert said.status_code == 200


def test_a_claim_that_names_no_class_is_met_and_can_be_written_to(cluster: Cluster) -> None:
    write = "open('/data/word', 'w').write('kept'); print(open('/data/word').read())"
    said = cluster.kubectl("exec", "deployment/greeter", "--", "python3", "-c", write)
    assert said.strip() == "kept"


def test_a_deployment_rolls(cluster: Cluster) -> None:
    cluster.apply(_deployment("second"))
    cluster.kubectl("rollout", "status", "deployment/greeter", "--timeout=90s")
    said = cluster.kubectl("exec", "deployment/greeter", "--", "printenv", "WORD")
    assert said.strip() == "second"


def test_helm_installs_upgrades_and_rolls_back(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: words, version: 1.0.0}")
    (tmp_path / "templates" / "word.yaml").write_text(_CHART)

    def word() -> str:
        return cluster.kubectl("get", "configmap", "said", "--output=jsonpath={.data.word}")

    cluster.helm("install", "said", tmp_path, "--set=word=one", "--wait")
    cluster.helm("upgrade", "said", tmp_path, "--set=word=two", "--wait")
    assert word() == "two"
    cluster.helm("rollback", "said", "1", "--wait")
    assert word() == "one"
