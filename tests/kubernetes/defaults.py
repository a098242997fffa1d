"""What the API server fills in, where clients can see it: in lists that are of one piece, which
differ then from what was sent, and in what is dropped because it is empty. Pure.
"""

from base64 import b64encode
from collections.abc import Callable
from copy import deepcopy

from tests.helm.chart import Manifest


def completed(manifest: Manifest) -> Manifest:
    complete = _COMPLETE.get(manifest["kind"])
    if complete is None:
        return manifest
    result = deepcopy(manifest)
    complete(result.setdefault("spec", {}))
    return result


def encoded(manifest: Manifest) -> Manifest:
    """A Secret's plain text becomes its data."""
    if manifest["kind"] != "Secret" or "stringData" not in manifest:
        return manifest
    rest = {name: told for name, told in manifest.items() if name != "stringData"}
    plain = {
        name: b64encode(value.encode()).decode() for name, value in manifest["stringData"].items()
    }
    return {**rest, "data": {**manifest.get("data", {}), **plain}}


def _template(spec: Manifest) -> None:
    _pod(spec["template"]["spec"])


def _pod(spec: Manifest) -> None:
    for container in [*spec.get("containers", []), *spec.get("initContainers", [])]:
        for one in container.get("env") or []:
            if one.get("value") == "":
                del one["value"]


def _stateful_set(spec: Manifest) -> None:
    _template(spec)
    for claim in spec.get("volumeClaimTemplates") or []:
        claim |= {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
        claim["status"] = {"phase": "Pending"}
        claim["spec"].setdefault("volumeMode", "Filesystem")


def _cron_job(spec: Manifest) -> None:
    _template(spec["jobTemplate"]["spec"])


def _network_policy(spec: Manifest) -> None:
    for rule in [*(spec.get("ingress") or []), *(spec.get("egress") or [])]:
        _ports(rule)


def _service(spec: Manifest) -> None:
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("clusterIP", "10.96.0.1")
    _ports(spec)


def _ports(spec: Manifest) -> None:
    for port in spec.get("ports") or []:
        port.setdefault("protocol", "TCP")


_COMPLETE: dict[str, Callable[[Manifest], None]] = {
    "Deployment": _template,
    "StatefulSet": _stateful_set,
    "Job": _template,
    "CronJob": _cron_job,
    "Pod": _pod,
    "NetworkPolicy": _network_policy,
    "Service": _service,
}
