"""Roles for a test's accounts."""

import json
from typing import Any

from tests.helm.chart import Manifest
from tests.kubernetes.apiserver import ApiServer
from tests.kubernetes.clients import kubectl, worked


def given(api: ApiServer, *items: Manifest) -> None:
    told = "\n---\n".join(map(json.dumps, items))
    worked(kubectl(api, "create", "-f", "-", told=told))


def role(account: str, *rules: dict[str, list[str]]) -> list[Manifest]:
    """A Role, and that the account has it."""
    about = {"metadata": {"name": account}}
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    subject = {"kind": "ServiceAccount", "name": account, "namespace": "default"}
    of: dict[str, Any] = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account}
    return [
        {**rbac, "kind": "Role", **about, "rules": [*rules]},
        {**rbac, "kind": "RoleBinding", **about, "subjects": [subject], "roleRef": of},
    ]


def rule(verbs: str, resources: str, group: str = "", names: str = "") -> dict[str, list[str]]:
    told = {"verbs": verbs, "resources": resources, "resourceNames": names}
    return {"apiGroups": [group], **{key: value.split() for key, value in told.items() if value}}
