"""Patches as RFC 7386, RFC 6902 and Kubernetes' strategic merge have them. Pure."""

from copy import deepcopy
from typing import Any

from tests.helm.chart import Manifest
from tests.kubernetes.schemas import Node, Schemas

_ORDER, _PRIMITIVE = "$setElementOrder/", "$deleteFromPrimitiveList/"


def merged(live: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(live) if isinstance(live, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


class Strategic:
    """Lists of named things are merged by their names, which the schema tells."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas

    def merged(self, live: Any, patch: Any, node: Node) -> Any:
        if not isinstance(patch, dict):
            return patch
        if patch.get("$patch") == "replace":
            return _plain(patch)
        result = dict(live) if isinstance(live, dict) else {}
        if "$retainKeys" in patch:
            result = {key: one for key, one in result.items() if key in patch["$retainKeys"]}
        for key, value in patch.items():
            if key.startswith(_PRIMITIVE):
                of = key.removeprefix(_PRIMITIVE)
                result[of] = [one for one in result.get(of, []) if one not in value]
            elif key.startswith("$"):
                continue
            elif value is None:
                result.pop(key, None)
            else:
                order = patch.get(_ORDER + key, [])
                child = self._schemas.child(node, key)
                result[key] = self._value(result.get(key), value, child, order)
        return result

    def _value(self, live: Any, value: Any, node: Node, order: list[Any]) -> Any:
        if not isinstance(value, list):
            return self.merged(live, value, node)
        if "merge" not in node.get("x-kubernetes-patch-strategy", ""):
            return value
        key = node.get("x-kubernetes-patch-merge-key")
        if not key:
            return [*(live or []), *(one for one in value if one not in (live or []))]
        return self._list(live or [], value, node, order)

    def _list(self, live: list[Any], patch: list[Any], node: Node, order: list[Any]) -> list[Any]:
        if any(one.get("$patch") == "replace" for one in patch):
            return [one for one in patch if "$patch" not in one]
        key = node["x-kubernetes-patch-merge-key"]
        found = {one.get(key): one for one in live}
        for one in patch:
            if one.get("$patch") == "delete":
                found.pop(one[key], None)
            else:
                old = found.get(one[key], {})
                found[one[key]] = self.merged(old, one, node.get("items", {}))
        names = [one.get(key) for one in order]
        first = [name for name in names if name in found]
        return [found[name] for name in [*first, *(one for one in found if one not in names)]]


def _plain(patch: Manifest) -> Manifest:
    return {key: value for key, value in patch.items() if not key.startswith("$")}


def stepped(manifest: Manifest, steps: list[Manifest]) -> Manifest:
    """RFC 6902: add, remove, replace and test."""
    result = deepcopy(manifest)
    for step in steps:
        *path, last = [
            part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]
        ]
        into: Any = result
        for part in path:
            into = into[int(part)] if isinstance(into, list) else into[part]
        if isinstance(into, list):
            _step_in_list(into, last, step)
        elif step["op"] == "remove":
            del into[last]
        elif step["op"] != "test":
            into[last] = step["value"]
    return result


def _step_in_list(into: list[Any], last: str, step: Manifest) -> None:
    at = len(into) if last == "-" else int(last)
    if step["op"] == "add":
        into.insert(at, step["value"])
    elif step["op"] == "remove":
        del into[at]
    elif step["op"] == "replace":
        into[at] = step["value"]
