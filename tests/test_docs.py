"""The docs say what the code says: every setting, every metric, every file."""

import inspect
import json
import re
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from feedback.guard import Rules
from tests.trainer.test_gates import EVERYTHING
from trainer.backends import TRL_LACKS
from trainer.constitution import REWRITTEN
from trainer.gates import decide
from trainer.golden import Golden, read_golden
from trainer.golden_gates import fails
from trainer.judged import JUDGED
from trainer.methods import DIALS, KINDS, READERS, WITH_PARENT
from trainer.plan import Plan
from trainer.waiting import name_of

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
ROOMS = ("feedback", "trainer", "serving", "ops")
# Who reads settings that are not a room's own.
OTHER_READERS = {"PluginSettings": "engine", "UpSettings": "up", "ExportSettings": "trainer"}

Readers = dict[str, list[tuple[str, FieldInfo]]]


def _table(document: str) -> list[list[str]]:
    """The cells of all rows of all tables, without code marks."""
    lines = re.findall(r"^\| `.*\|$", (ROOT / document).read_text(), re.MULTILINE)
    return [[cell.strip().replace("`", "") for cell in line.split("|")[1:-1]] for line in lines]


@pytest.fixture(scope="module")
def settings() -> Readers:
    """Every setting, with each room that reads it and the field it reads it by."""
    found: Readers = {}
    for room in ROOMS:
        module = import_module(f"{room}.settings")
        for name, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, BaseSettings) and kind.__module__ == module.__name__:
                reader = room if name == "Settings" else OTHER_READERS[name]
                for field in kind.__annotations__.keys() & kind.model_fields.keys():
                    found.setdefault(field, []).append((reader, kind.model_fields[field]))
    return found


def _default(fields: list[FieldInfo]) -> str:
    """As a person would type it. Where a room works a value out, the others' default counts."""
    told = {_typed(field.default) for field in fields if not field.is_required()} - {"none"}
    assert len(told) <= 1, f"rooms differ: {told}"
    if told:
        return told.pop()
    return "must be set" if any(field.is_required() for field in fields) else "none"


def _typed(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value) or "none"
    if is_dataclass(value):
        return "{}"  # JSON: what differs from its own defaults
    return "none" if value is None else str(value)


def test_every_setting_is_in_the_docs_and_nothing_else_is(settings: Readers) -> None:
    told = [row[0] for row in _table("docs/configuration.md")]
    assert sorted(told) == sorted(settings)


def test_the_docs_tell_each_default_and_who_reads_it(settings: Readers) -> None:
    told = {row[0]: (row[1], set(row[2].split(", "))) for row in _table("docs/configuration.md")}
    for name, read in settings.items():
        expected = (_default([field for _, field in read]), {reader for reader, _ in read})
        assert (name, told[name]) == (name, expected)


def test_a_secret_is_no_plain_string(settings: Readers) -> None:
    kinds = (SecretStr, SecretStr | None)  # ops does without, where nobody is to be forgotten
    assert all(field.annotation in kinds for _, field in settings["secret"])


@pytest.mark.parametrize("room", ROOMS)
def test_every_metric_is_in_the_docs_as_it_is_and_nothing_else_is(room: str) -> None:
    told = [tuple(row) for row in _table("docs/metrics.md") if f"_{room}_" in row[0]]
    assert sorted(told) == sorted(_metrics(room))


def test_every_metric_in_the_docs_is_of_a_room() -> None:
    names = [row[0] for row in _table("docs/metrics.md")]
    assert all(re.match(rf"thumbwheel_({'|'.join(ROOMS)})_", name) for name in names)


def _metrics(room: str) -> list[tuple[str, str, str, str]]:
    registry = CollectorRegistry()
    of_room = import_module(f"{room}.metrics").Metrics
    if room == "trainer":  # collected anew at each scrape
        return [_metric(family, family) for family in of_room(Path("nowhere"), registry).collect()]
    made = [m for m in vars(of_room(registry)).values() if hasattr(m, "_labelnames")]
    return [_metric(metric, metric.describe()[0]) for metric in made]


def _metric(metric: object, family: Metric) -> tuple[str, str, str, str]:
    suffix = "_total" if family.type == "counter" else ""
    # The library keeps the names of the labels to itself.
    labels = ", ".join(metric._labelnames)  # type: ignore[attr-defined]
    return (f"{family.name}{suffix}", family.type, labels, family.documentation)


def test_the_tree_in_the_readme_is_the_tree() -> None:
    """Lines such as `ops/decide.py   every rule that can move traffic, on one page`."""
    tree = re.search(r"^## The tree\n+```\w*\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert tree is not None, "README.md has no code block under the heading `## The tree`"
    told = re.findall(r"^(\S+\.py) +\S", tree[1], re.MULTILINE)
    paths = [path.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    assert sorted(told) == sorted(str(path) for path in paths if path.name != "__init__.py")


def test_the_rules_of_the_guard_are_told_with_their_defaults() -> None:
    told = [(name, default) for name, default, *_ in _table("docs/guard.md")]
    assert told == [(field.name, str(field.default)) for field in fields(Rules)]


def test_every_gate_is_told_with_its_number_and_default() -> None:
    rows = {row[0]: row[2:] for row in _table("docs/formats.md") if len(row) == 4}
    gates = {gate.name for gate in decide(EVERYTHING, Plan())}
    assert gates == rows.keys()
    for name in gates:
        field, default = rows[name]
        assert default == (str(Plan.model_fields[field].default) if field else "")


def test_every_method_is_told_with_what_it_learns_from_and_reads() -> None:
    rows = {row[0]: row[2:] for row in _table("docs/formats.md") if row[0] in KINDS}
    expected = {
        method: [
            name_of(method),
            "yes" if method in WITH_PARENT else "no",
            ", ".join(dial for dial, readers in READERS.items() if method in readers),
        ]
        for method in KINDS
    }
    assert rows == expected


def test_every_dial_of_a_method_is_told_with_its_default() -> None:
    told = {row[0]: row[1] for row in _table("docs/formats.md") if row[0] in DIALS}
    assert told == {name: json.dumps(getattr(Plan(), name)) for name in DIALS}


def test_every_count_of_ai_feedback_is_told() -> None:
    rows = [row[0] for row in _table("docs/formats.md")]
    told = {name for row in rows for name in re.findall(r"(?:judged|rewritten): [^,]+", row)}
    assert told == {*JUDGED.values(), *REWRITTEN.values()}


def test_every_method_that_trl_has_is_told_with_what_it_lacks() -> None:
    rows = [row for row in _table("docs/formats.md") if row[0].endswith("Trainer")]
    told = {method: lacks for _, method, lacks in rows}
    assert told == {
        method: ", ".join(f"{dial} {value}" for dial, value in dials.items())
        for method, dials in TRL_LACKS.items()
    }


def test_the_golden_prompts_in_the_docs_are_read_and_show_every_field(tmp_path: Path) -> None:
    text = (ROOT / "docs/formats.md").read_text()
    shown = re.search(r"^```jsonl golden\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert shown is not None
    (tmp_path / "golden.jsonl").write_text(shown[1])
    read = read_golden(str(tmp_path / "golden.jsonl"))
    assert {"prompt", "messages"} <= set().union(*(one.model_fields_set for one in read))
    assert set().union(*(one.model_fields_set for one in read)) == Golden.model_fields.keys()
    assert not fails(read[1], "4.")
    assert fails(read[1], "It is 4.")
