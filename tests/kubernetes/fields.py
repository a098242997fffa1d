"""Values by the fields that Kubernetes says are owned: f:NAME, k:{KEYS} and v:VALUE. Pure."""

import json
from collections.abc import Iterator
from typing import Any

from tests.helm.chart import Manifest
from tests.kubernetes.schemas import Node, Schemas

Path = tuple[str, ...]

_SERVERS = ("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp")
_NOBODYS = {
    ("f:apiVersion",),
    ("f:kind",),
    ("f:status",),
    ("f:metadata", "f:managedFields"),
    *(("f:metadata", f"f:{name}") for name in _SERVERS),
}


class Fields:
    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas

    def owned(self, manifest: Manifest, node: Node) -> dict[Path, Any]:
        """Each field that somebody may own, and its value; of a named item in a list, none."""
        return {
            path: value
            for path, value in self._leaves(manifest, node, ())
            if path[:1] not in _NOBODYS and path[:2] not in _NOBODYS
        }

    def _leaves(self, value: Any, node: Node, at: Path) -> Iterator[tuple[Path, Any]]:
        kind = self._kind(value, node)
        if kind == "set":
            yield from (((*at, _entry(one)), one) for one in value)
        elif kind and value:
            for part, one, child in self._parts(value, node, kind):
                if kind == "list":
                    yield (*at, part), None
                yield from self._leaves(one, child, (*at, part))
        else:
            yield at, value

    def _kind(self, value: Any, node: Node) -> str:
        """`map`, `list` of named items, `set`; of what has one owner, nothing."""
        if isinstance(value, dict):
            return "" if self._schemas.of_one_piece(node) else "map"
        if isinstance(value, list):
            kinds = {"map": "list", "set": "set"}
            return kinds.get(node.get("x-kubernetes-list-type", ""), "")
        return ""

    def _parts(self, value: Any, node: Node, kind: str) -> Iterator[tuple[str, Any, Node]]:
        if kind == "map":
            for key, one in value.items():
                yield f"f:{key}", one, self._schemas.child(node, key)
        else:
            for one in value:
                yield _item(one, node), one, node.get("items", {})

    def laid_over(self, live: Any, config: Any, node: Node) -> Any:
        """What is told over what is there, which stays where it is not told of."""
        kind = self._kind(config, node)
        if kind == "set":
            return [*config, *(one for one in live or [] if one not in config)]
        if not kind or not isinstance(live, dict | list):
            return config
        result = {part: one for part, one, _ in self._parts(live, node, kind)}
        told = list(self._parts(config, node, kind))
        for part, one, child in told:
            result[part] = self.laid_over(result.get(part), one, child)
        if kind == "map":
            return {part.removeprefix("f:"): one for part, one in result.items()}
        first = [part for part, _, _ in told]
        return [result[part] for part in [*first, *(one for one in result if one not in first)]]

    def without(
        self, value: Any, node: Node, *, gone: set[Path], kept: set[Path], at: Path = ()
    ) -> Any:
        """What is left without the fields that are gone, and what they leave empty."""
        kind = self._kind(value, node)
        if at in gone and not any(path[: len(at)] == at for path in kept):
            return None
        if not kind or not value:
            return value
        if kind == "set":
            return [one for one in value if (*at, _entry(one)) not in gone] or None
        result = {}
        for part, one, child in self._parts(value, node, kind):
            left = self.without(one, child, gone=gone, kept=kept, at=(*at, part))
            if left is not None:
                result[part.removeprefix("f:")] = left
        return (result if kind == "map" else list(result.values())) or None


def _entry(value: Any) -> str:
    return "v:" + json.dumps(value)


def _item(item: Manifest, node: Node) -> str:
    names = node["x-kubernetes-list-map-keys"]
    # The one default there is among such keys.
    keys = {name: item.get(name, "TCP" if name == "protocol" else None) for name in sorted(names)}
    return "k:" + json.dumps(keys, separators=(",", ":"))


def shown(path: Path) -> str:
    """As Kubernetes writes it in its messages: .spec.containers[name="x"].image"""
    text = ""
    for part in path:
        kind, told = part[:2], part[2:]
        if kind == "f:":
            text += f".{told}"
        elif kind == "v:":
            text += f"[={told}]"
        else:
            keys = (f"{name}={json.dumps(value)}" for name, value in json.loads(told).items())
            text += f"[{','.join(keys)}]"
    return text
