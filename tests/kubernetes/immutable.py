"""What may never change of an object, in the words of Kubernetes. Pure."""

from tests.helm.chart import Manifest

_STATEFUL_SET = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)


def changed_for_ever(old: Manifest, new: Manifest) -> str:
    """The complaint about it; empty where there is none."""
    kind = new["kind"]
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if kind in ("RoleBinding", "ClusterRoleBinding") and old["roleRef"] != new["roleRef"]:
        return "roleRef: Invalid value: cannot change roleRef"
    if kind in ("Deployment", "DaemonSet") and before["selector"] != after["selector"]:
        return "spec.selector: Invalid value: field is immutable"
    if kind == "Job" and before["template"] != after["template"]:
        return "spec.template: Invalid value: field is immutable"
    if kind == "StatefulSet" and _but(before, _STATEFUL_SET) != _but(after, _STATEFUL_SET):
        fields = "', '".join(_STATEFUL_SET[:-1])
        return (
            "spec: Forbidden: updates to statefulset spec for fields other than "
            f"'{fields}' and '{_STATEFUL_SET[-1]}' are forbidden"
        )
    if kind == "PersistentVolumeClaim" and _but(before, ("resources",)) != _but(
        after, ("resources",)
    ):
        return "spec: Forbidden: spec is immutable after creation except resources.requests"
    return ""


def _but(spec: Manifest, names: tuple[str, ...]) -> Manifest:
    return {name: told for name, told in spec.items() if name not in names}
