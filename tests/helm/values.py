"""The table of docs/helm.md, made of the chart's values: `python -m tests.helm.values` writes it.

A comment above a value tells what it is; one above a group belongs to the group.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.helm.chart import CHART, ROOT

PAGE = ROOT / "docs" / "helm.md"
_TABLE = re.compile(r"(?<=<!-- values -->\n).*(?=<!-- end -->)", re.S)
_KEY = re.compile(r"( *)([A-Za-z]+):(.*)")


def table() -> str:
    head = ["| value | default | is |", "|---|---|---|"]
    lines = [f"| `{name}` | {default} | {told} |" for name, default, told in _rows()]
    return "\n".join([*head, *lines]) + "\n"


def page() -> str:
    return _TABLE.sub(lambda _: table(), PAGE.read_text())


def _rows() -> Iterator[tuple[str, str, str]]:
    text = (CHART / "values.yaml").read_text()
    values, told, path = yaml.safe_load(text), list[str](), list[str]()
    for line in text.splitlines():
        if line.strip().startswith("#"):
            told.append(line.strip().removeprefix("#").strip())
        elif found := _KEY.fullmatch(line):
            indent, name, default = found.groups()
            path = [*path[: len(indent) // 2], name]
            group = not default.strip()
            if told or not group:
                yield ".".join(path), "" if group else _told(_at(values, path)), " ".join(told)
            told = []
        else:
            told = []  # it was of the file, not of a value


def _at(values: Any, path: list[str]) -> Any:
    for name in path:
        values = values[name]
    return values


def _told(value: Any) -> str:
    return f"`{json.dumps(value)}`" if value not in ("", {}, []) else "none"


if __name__ == "__main__":
    PAGE.write_text(page())
