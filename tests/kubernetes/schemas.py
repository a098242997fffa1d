"""The shapes of Kubernetes' objects, from the schemas of kubernetes-validate. Pure.

A node is a piece of a schema; of what has no schema it is empty, and lists in it are of one piece.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import kubernetes_validate

from tests.helm.chart import Manifest
from tests.kubernetes.kinds import Resource

Node = dict[str, Any]

_FOLDER = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
_REF = "#/$defs/"


class Schemas:
    """Those of one minor of Kubernetes, such as 1.35."""

    def __init__(self, minor: str) -> None:
        text = (_FOLDER / f"v{minor}.0-local-strict" / "_definitions.json").read_text()
        self._parts: dict[str, Node] = json.loads(text)["$defs"]
        self._names = {
            (of["group"], of["version"], of["kind"]): name
            for name, part in self._parts.items()
            for of in part.get("x-kubernetes-group-version-kind", [])
        }
        self._validators: dict[str, jsonschema_rs.Draft202012Validator] = {}

    def of(self, resource: Resource) -> Node:
        name = self._names.get((resource.group, resource.version, resource.kind))
        return self._parts[name] if name else {}

    def child(self, node: Node, key: str) -> Node:
        whole = self.resolved(node)
        rest = whole.get("additionalProperties")
        found = whole.get("properties", {}).get(key) or rest
        return found if isinstance(found, dict) else {}

    def resolved(self, node: Node) -> Node:
        while "$ref" in node:
            node = self._parts[node["$ref"].removeprefix(_REF)]
        return node

    def is_quantity(self, node: Node) -> bool:
        return str(node.get("$ref", "")).endswith(".api.resource.Quantity")

    def of_one_piece(self, node: Node) -> bool:
        return "atomic" in (
            node.get("x-kubernetes-map-type"),
            self.resolved(node).get("x-kubernetes-map-type"),
        )

    def complaints(self, resource: Resource, manifest: Manifest) -> list[str]:
        name = self._names.get((resource.group, resource.version, resource.kind))
        if not name:
            return []
        if name not in self._validators:
            schema = {"$ref": _REF + name, "$defs": self._reached(name)}
            self._validators[name] = jsonschema_rs.Draft202012Validator(schema)
        return [
            f"{'.'.join(map(str, error.instance_path))}: {error.message[:300]}"
            for error in self._validators[name].iter_errors(manifest)
        ]

    def _reached(self, name: str) -> dict[str, Node]:
        """The parts that one leans on: to compile all of them takes its time."""
        found: dict[str, Node] = {}
        left = [name]
        while left:
            name = left.pop()
            if name not in found:
                found[name] = self._parts[name]
                left += _refs(found[name])
        return found


@cache
def schemas(minor: str) -> Schemas:
    return Schemas(minor)


def _refs(node: Any) -> list[str]:
    if isinstance(node, list):
        return [ref for one in node for ref in _refs(one)]
    if not isinstance(node, dict):
        return []
    here = [node["$ref"].removeprefix(_REF)] if isinstance(node.get("$ref"), str) else []
    return here + [ref for one in node.values() for ref in _refs(one)]
