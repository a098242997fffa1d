"""A request to the API server, as Kubernetes sees it: who wants which verb of what."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import yaml

from tests.helm.chart import Manifest
from tests.kubernetes import protobuf
from tests.kubernetes.kinds import BY_PATH, NAMESPACE, Key, Resource
from tests.kubernetes.selecting import name_in

_PATH = re.compile(
    r"/(?:api/(?P<core>v1)|apis/(?P<other>[^/]+/[^/]+))"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/\w))?"
    r"/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>\w+))?/?"
)
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get"}


@dataclass(frozen=True)
class Right:
    """What one may be allowed to."""

    verb: str
    group: str
    resource: str  # with its subresource: pods/log
    namespace: str = ""
    name: str = ""


@dataclass(frozen=True)
class Call:
    verb: str
    key: Key  # its name is empty where a whole kind is meant, or the body has it
    subresource: str
    query: Mapping[str, str]
    content_type: str
    body: bytes

    @cached_property
    def document(self) -> Manifest:
        if self.body.startswith(protobuf.MAGIC):
            return protobuf.read(self.body)
        reads = yaml.safe_load if "yaml" in self.content_type else json.loads
        told: Manifest = reads(self.body)  # a JSON patch is a list
        return told

    @property
    def resource(self) -> Resource:
        return self.key.resource

    @property
    def dry(self) -> bool:
        return "dryRun" in self.query

    @property
    def manager(self) -> str:
        return self.query.get("fieldManager", "unknown")

    @property
    def named(self) -> Key:
        """Where the object lies that is meant."""
        if self.verb != "create":
            return self.key
        return replace(self.key, name=self.document.get("metadata", {}).get("name", ""))

    @property
    def right(self) -> Right:
        key = self.key
        namespace = key.name if key.resource == NAMESPACE else key.namespace
        whole = f"{key.resource.plural}/{self.subresource}".removesuffix("/")
        name = key.name or name_in(self.query)
        return Right(self.verb, key.resource.group, whole, namespace, name)


def call(
    method: str, path: str, query: Mapping[str, str], *, content_type: str, body: bytes
) -> Call | None:
    """None where it asks for no objects: for what the server has, and its version."""
    found = _PATH.fullmatch(path)
    if not found:
        return None
    resource = BY_PATH.get((found["core"] or found["other"], found["plural"]))
    if not resource or method not in _VERBS:
        return None
    key = Key(resource, found["namespace"] or "", found["name"] or "")
    verb = _VERBS[method]
    if not key.name:
        watches = query.get("watch") in ("true", "1")
        wholes = {"get": "watch" if watches else "list", "delete": "deletecollection"}
        verb = wholes.get(verb, verb)
    return Call(verb, key, found["sub"] or "", query, content_type, body)
