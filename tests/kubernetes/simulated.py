"""What controllers and kubelets would report of an object, at once. Pure, but for the time.

An image whose name or tag has `unready` in it never gets ready; one with `failing` ends as failed.
"""

import time
from collections.abc import Callable

from tests.helm.chart import Manifest


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def status(manifest: Manifest) -> Manifest:
    tell = _TELLERS.get(manifest["kind"])
    return tell(manifest) if tell else {}


def _condition(kind: str, holds: bool = True, reason: str = "") -> Manifest:
    told = {"type": kind, "status": str(holds), "lastTransitionTime": now()}
    return {**told, "reason": reason} if reason else told


def _images(pod: Manifest) -> str:
    return " ".join(one.get("image", "") for one in pod.get("containers", []))


def _replicas(manifest: Manifest) -> Manifest:
    spec = manifest["spec"]
    wanted = spec.get("replicas", 1)
    ready = 0 if "unready" in _images(spec["template"]["spec"]) else wanted
    return {
        "observedGeneration": manifest["metadata"]["generation"],
        "replicas": wanted,
        "readyReplicas": ready,
        "availableReplicas": ready,
    }


def _deployment(manifest: Manifest) -> Manifest:
    counts = _replicas(manifest)
    done = counts["readyReplicas"] == counts["replicas"]
    reason = "NewReplicaSetAvailable" if done else "ReplicaSetUpdated"
    return {
        **counts,
        "updatedReplicas": counts["replicas"],
        "conditions": [
            _condition("Available", done),
            _condition("Progressing", True, reason),
        ],
    }


def _stateful_set(manifest: Manifest) -> Manifest:
    counts = _replicas(manifest)
    revision = f"{manifest['metadata']['name']}-{counts['observedGeneration']}"
    return {
        **counts,
        "currentReplicas": counts["replicas"],
        "updatedReplicas": counts["replicas"],
        "currentRevision": revision,
        "updateRevision": revision,
    }


def _pod(manifest: Manifest) -> Manifest:
    spec = manifest["spec"]
    if "failing" in _images(spec):
        return {"phase": "Failed"}
    if spec.get("restartPolicy") == "Never":
        return {"phase": "Succeeded"}
    return {"phase": "Running", "conditions": [_condition("Ready", "unready" not in _images(spec))]}


def _job(manifest: Manifest) -> Manifest:
    if "failing" in _images(manifest["spec"]["template"]["spec"]):
        return {"failed": 1, "conditions": [_condition("Failed")]}
    times = {"startTime": now(), "completionTime": now()}
    return {**times, "succeeded": 1, "conditions": [_condition("Complete")]}


def _phase(phase: str) -> Callable[[Manifest], Manifest]:
    return lambda _: {"phase": phase}


_TELLERS: dict[str, Callable[[Manifest], Manifest]] = {
    "Deployment": _deployment,
    "ReplicaSet": _replicas,
    "StatefulSet": _stateful_set,
    "Pod": _pod,
    "Job": _job,
    "Namespace": _phase("Active"),
    "PersistentVolumeClaim": _phase("Bound"),
}
