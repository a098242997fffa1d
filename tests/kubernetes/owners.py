"""Who owns which field: server-side apply, and what it calls a conflict. Pure."""

from dataclasses import dataclass
from typing import Any

from tests.helm.chart import Manifest
from tests.kubernetes.fields import Fields, Path, shown
from tests.kubernetes.refusals import Conflict
from tests.kubernetes.schemas import Node
from tests.kubernetes.simulated import now


@dataclass(frozen=True)
class Owner:
    manager: str
    operation: str  # Apply or Update: the same manager is another owner in each


Owned = dict[Owner, set[Path]]


def applied(
    fields: Fields, live: Manifest, config: Manifest, node: Node, *, owner: Owner, force: bool
) -> Manifest:
    """What is there after a manager has told all that it wants.

    What it wanted before and nobody else wants goes; what somebody else wants otherwise is a
    conflict.
    """
    owned, wanted, there = _owned(live), fields.owned(config, node), fields.owned(live, node)
    fought = {
        one: {path for path in wanted.keys() & paths & there.keys() if there[path] != wanted[path]}
        for one, paths in owned.items()
        if one != owner
    }
    if any(fought.values()) and not force:
        raise _conflict(fought, config)
    left = {one: owned[one] - paths for one, paths in fought.items()}
    others = set().union(*left.values())
    gone = owned.get(owner, set()) - wanted.keys() - others
    result = fields.laid_over(live, config, node)
    result = fields.without(result, node, gone=gone, kept=others | wanted.keys())
    return _with(result, {**left, owner: set(wanted)})


def updated(fields: Fields, old: Manifest, new: Manifest, node: Node, *, manager: str) -> Manifest:
    """Who changes a field owns it from then on."""
    before, after = fields.owned(old, node), fields.owned(new, node)
    changed = {path for path, value in after.items() if before.get(path, ...) != value}
    # A client may settle who owns what: Helm does, where it begins to apply on the server's side.
    told = new.get("metadata", {}).get("managedFields")
    owned = _owned(old if told is None else new)
    left = {one: (paths & after.keys()) - changed for one, paths in owned.items()}
    owner = Owner(manager, "Update")
    return _with(new, {**left, owner: left.get(owner, set()) | changed})


def _conflict(fought: Owned, config: Manifest) -> Conflict:
    told = [
        f'conflict with "{owner.manager}" using {config["apiVersion"]}: {shown(path)}'
        for owner, paths in fought.items()
        for path in sorted(paths)
    ]
    ending = "" if len(told) == 1 else "s"
    return Conflict(f"Apply failed with {len(told)} conflict{ending}: " + "; ".join(told))


def _owned(manifest: Manifest) -> Owned:
    entries = manifest.get("metadata", {}).get("managedFields") or []
    return {
        Owner(one["manager"], one["operation"]): set(_paths(one.get("fieldsV1", {}), ()))
        for one in entries
        if one
    }


def _with(manifest: Manifest, owned: Owned) -> Manifest:
    entries = [
        {
            "manager": owner.manager,
            "operation": owner.operation,
            "apiVersion": manifest["apiVersion"],
            "time": now(),
            "fieldsType": "FieldsV1",
            "fieldsV1": _tree(paths),
        }
        for owner, paths in owned.items()
        if paths
    ]
    return {**manifest, "metadata": {**manifest["metadata"], "managedFields": entries}}


def _paths(tree: dict[str, Any], at: Path) -> list[Path]:
    found = [at] if at and (not tree or "." in tree) else []
    for part, below in tree.items():
        if part != ".":
            found += _paths(below, (*at, part))
    return found


def _tree(paths: set[Path]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for path in paths:
        tree = root
        for part in path:
            tree = tree.setdefault(part, {})
        if path[-1].startswith("k:"):
            tree["."] = {}
    return root
