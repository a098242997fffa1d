"""Selectors of labels and of fields. Pure."""

import re
from collections.abc import Mapping

from tests.helm.chart import Manifest

_AMONG = re.compile(r"\s*(\S+)\s+(in|notin)\s+\(([^)]*)\)\s*")
_OUTSIDE_COMMA = re.compile(r",(?![^()]*\))")


def selected(manifest: Manifest, query: Mapping[str, str]) -> bool:
    labels = manifest["metadata"].get("labels") or {}
    terms = _OUTSIDE_COMMA.split(query.get("labelSelector", ""))
    fields = query.get("fieldSelector", "").split(",")
    return all(_labelled(labels, one) for one in terms if one.strip()) and all(
        _has(manifest, one) for one in fields if one
    )


def _labelled(labels: Mapping[str, str], term: str) -> bool:
    if among := _AMONG.fullmatch(term):
        name, how, values = among.groups()
        return (labels.get(name) in re.split(r"\s*,\s*", values.strip())) == (how == "in")
    if "=" in term:
        name, how, value = (part.strip() for part in re.split("(!=|==?)", term))
        return (labels.get(name) == value) == (how != "!=")
    term = term.strip()
    return (term.removeprefix("!").strip() in labels) != term.startswith("!")


def _has(manifest: Manifest, term: str) -> bool:
    path, how, value = re.split("(!=|==?)", term)
    found: object = manifest
    for name in path.split("."):
        found = found.get(name, "") if isinstance(found, dict) else ""
    return (str(found) == value) == (how != "!=")


def name_in(query: Mapping[str, str]) -> str:
    """Kubernetes takes who selects one name for one who asks for it."""
    found = re.search(r"(?:^|,)metadata\.name==?([^,]+)", query.get("fieldSelector", ""))
    return found[1] if found else ""
