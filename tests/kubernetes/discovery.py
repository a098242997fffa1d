"""What the API server tells of itself: its version, its kinds, and that it checks fields. Pure."""

from typing import Any

from tests.helm.chart import Manifest
from tests.kubernetes.kinds import GROUP_VERSIONS, RESOURCES, REVIEW, Resource

# The one form that today's clients ask for first.
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


def told(path: str, minor: str) -> Manifest | None:
    """None where there is nothing of that path."""
    if path == "/version":
        major, _, rest = minor.partition(".")
        return {
            "major": major,
            "minor": rest,
            "gitVersion": f"v{minor}.0",
            "platform": "linux/amd64",
        }
    if path in ("/api", "/apis"):
        return _groups(core=path == "/api")
    if path == "/openapi/v3":
        paths = {
            _root(one): {"serverRelativeURL": f"{path}/{_root(one)}"} for one in GROUP_VERSIONS
        }
        return {"paths": paths}
    for one in GROUP_VERSIONS:
        if path == f"/{_root(one)}":
            return _list(one)
        if path == f"/openapi/v3/{_root(one)}":
            return _openapi(one, minor)
    return None


def _root(group_version: str) -> str:
    return f"apis/{group_version}" if "/" in group_version else f"api/{group_version}"


def _of(group_version: str) -> list[Resource]:
    return [one for one in RESOURCES if one.group_version == group_version]


def _groups(core: bool) -> Manifest:
    wanted = [one for one in GROUP_VERSIONS if ("/" not in one) == core]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [_group(one) for one in wanted],
    }


def _group(group_version: str) -> Manifest:
    resources = _of(group_version)
    version = {
        "version": resources[0].version,
        "freshness": "Current",
        "resources": [_resource(one) for one in resources],
    }
    return {"metadata": {"name": resources[0].group}, "versions": [version]}


def _list(group_version: str) -> Manifest:
    """The older form, in which `lookup` in templates asks."""
    resources = [
        {
            "name": one.plural,
            "singularName": one.kind.lower(),
            "namespaced": one.namespaced,
            "kind": one.kind,
            "shortNames": list(one.short),
            "verbs": _verbs(one),
        }
        for one in _of(group_version)
    ]
    kind = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version}
    return {**kind, "resources": resources}


def _verbs(resource: Resource) -> list[str]:
    return ["create"] if resource == REVIEW else _VERBS


def _resource(resource: Resource) -> Manifest:
    return {
        "resource": resource.plural,
        "responseKind": _kind(resource),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.kind.lower(),
        "shortNames": list(resource.short),
        "verbs": _verbs(resource),
    }


def _kind(resource: Resource) -> dict[str, str]:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _openapi(group_version: str, minor: str) -> Manifest:
    """No more of it than clients look at, to learn whether the server checks fields."""
    paths: dict[str, Any] = {}
    for one in _of(group_version):
        inside = "/namespaces/{namespace}" if one.namespaced else ""
        parameter = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
        paths[f"/{_root(group_version)}{inside}/{one.plural}/{{name}}"] = {
            "patch": {
                "parameters": [parameter],
                "responses": {},
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": _kind(one),
            }
        }
    info = {"title": "Kubernetes", "version": f"v{minor}.0"}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": {}}}
