"""Quantities as Kubernetes writes them, whatever was sent: 1 is "1", 0.5 is "500m". Pure."""

import re
from fractions import Fraction
from typing import Any

from tests.kubernetes.schemas import Node, Schemas

_SUFFIXES = ("n", "u", "m", "", "k", "M", "G", "T", "P", "E")
_DECIMAL = {suffix: Fraction(1000) ** at for at, suffix in enumerate(_SUFFIXES, -3)}
_BINARY = {f"{one}i": Fraction(1024) ** at for at, one in enumerate("KMGTPE", 1)}
_QUANTITY = re.compile(r"([+-]?[0-9.]+)([numkMGTPE]?|[KMGTPE]i)")


def settled(value: Any, node: Node, schemas: Schemas) -> Any:
    """The same, with each quantity in it as Kubernetes writes it."""
    if schemas.is_quantity(node):
        return canonical(value)
    if isinstance(value, dict):
        return {key: settled(one, schemas.child(node, key), schemas) for key, one in value.items()}
    if isinstance(value, list):
        return [settled(one, node.get("items", {}), schemas) for one in value]
    return value


def canonical(value: Any) -> Any:
    """With the largest suffix that leaves it whole."""
    found = _QUANTITY.fullmatch(str(value))
    if not found:
        return value  # for the schema to refuse
    number, suffix = found.groups()
    amount = Fraction(number) * {**_DECIMAL, **_BINARY}[suffix]
    if not amount:
        return "0"
    suffixes = {"": Fraction(1), **_BINARY} if suffix in _BINARY else _DECIMAL
    best = [one for one, factor in suffixes.items() if (amount / factor).denominator == 1][-1]
    return f"{amount / suffixes[best]}{best}"
