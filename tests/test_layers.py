"""The walls between the rooms, read from the source: nothing is imported to find them out."""

import ast
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache, cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# What a room may import of other rooms.
DOORS = {
    "feedback": set[str](),
    "trainer": {
        "feedback.begin",
        "feedback.disk",
        "feedback.events",
        "feedback.examples",
        "feedback.log",
    },
    "serving": {
        "feedback.answers",
        "feedback.begin",
        "feedback.events",
        "feedback.log",
        "feedback.spool",
        "feedback.privacy",
        "trainer.adapters",
    },
    "ops": {
        "feedback.begin",
        "feedback.dead",
        "feedback.events",
        "feedback.log",
        "feedback.examples",
        "feedback.export",
        "feedback.privacy",
        "trainer.adapters",
        "trainer.advice",
        "serving.split",
        "serving.store",
    },
}
# A door that defines a format can be read by who has none of these, and starts at once.
FORMATS = ("feedback.events", "feedback.examples", "trainer.adapters", "serving.split")
# What a pure file may speak of without touching it: these define words, and how to store them.
VOCABULARY = (*FORMATS, "feedback.log")
HEAVY = {"torch", "kafka", "fastapi", "vllm"}
# Each outside library lives in named files.
FENCES = {
    "vllm": ("serving/vllm_plugin.py",),
    "torch": ("trainer/*", "ops/demo/teach.py"),
    "peft": ("trainer/*", "ops/demo/teach.py"),
    "trl": ("trainer/fit_trl.py",),
    "datasets": ("trainer/fit_trl.py",),
    "transformers": ("trainer/*", "ops/demo/teach.py"),
    "fsspec": ("serving/store.py",),
    "tensorboard": ("trainer/trackers.py",),
    "mlflow": ("trainer/trackers.py",),
    "wandb": ("trainer/trackers.py",),
    "httptools": ("serving/connection.py",),
    "aiohttp": (),  # tests and benches ask by it
    "opentelemetry": ("serving/traces.py",),
    "kafka": ("feedback/log_kafka.py", "feedback/kafka_topics.py", "feedback/kafka_records.py"),
    "pyarrow": ("feedback/examples.py", "feedback/columns.py"),
    "prometheus_client": ("*/metrics.py",),
    "pydantic_settings": ("*/settings.py",),
    "os.environ": ("*/settings.py", "feedback/begin.py"),
    "os.environb": ("*/settings.py",),
    "os.getenv": ("*/settings.py",),
    "os.putenv": ("*/settings.py",),
}
# What a pure file has no use for: clocks, input and output, randomness of its own.
IMPURE = (
    *("asyncio", "httpx", "logging", "os", "secrets", "shutil", "socket", "sqlite3", "subprocess"),
    *("tempfile", "threading", "time", "urllib", "uuid", "open", "print"),
    *("datetime.datetime.now", "datetime.datetime.utcnow"),
    # Not random.Random: a generator that is handed in is nobody's own randomness.
    *(f"random.{name}" for name in ("choice", "choices", "gauss", "randint", "random", "sample")),
    *("random.seed", "random.shuffle", "random.uniform"),
)


@dataclass(frozen=True)
class Source:
    """One file: the modules it imports, and the imported or built-in names it speaks of."""

    root: Path
    file: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse((self.root / self.file).read_text(), self.file)

    @property
    def room(self) -> str:
        return self.file.split("/")[0]

    @property
    def pure(self) -> bool:
        return bool(re.search(r"\bPure\b", ast.get_docstring(self.tree) or ""))

    @property
    def edge(self) -> bool:
        """Settings and metrics have fences, but every room's parts may know their own room's."""
        known_to_all = self.file.endswith(("/settings.py", "/metrics.py"))
        return "only file" in (ast.get_docstring(self.tree) or "") and not known_to_all

    @cached_property
    def imports(self) -> set[str]:
        """Inside functions and for types too."""
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {name.name for name in node.names}
            if isinstance(node, ast.ImportFrom):
                found |= {self._module(node, name.name) for name in node.names}
        return found

    @cached_property
    def names(self) -> set[str]:
        """In full: after `from datetime import datetime as d`, d.now is datetime.datetime.now."""
        full = {name: name for name in ("open", "print")}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                full |= {n.asname: n.name for n in node.names if n.asname}
                full |= {(top := n.name.split(".")[0]): top for n in node.names if not n.asname}
            if isinstance(node, ast.ImportFrom):
                full |= {n.asname or n.name: f"{node.module}.{n.name}" for n in node.names}
        said = [
            ast.unparse(n) for n in ast.walk(self.tree) if isinstance(n, ast.Name | ast.Attribute)
        ]
        parts = [name.partition(".") for name in said]
        return {f"{full[first]}{dot}{rest}" for first, dot, rest in parts if first in full}

    def uses(self, library: str) -> bool:
        return any(
            said == library or said.startswith(f"{library}.") for said in self.imports | self.names
        )

    def _module(self, node: ast.ImportFrom, name: str) -> str:
        """`from feedback import log` imports feedback.log; `from feedback.log import Log` too."""
        package = Path(self.file).parts[: -node.level] if node.level else ()
        module = ".".join((*package, *((node.module,) if node.module else ())))
        at = self.root / f"{module}.{name}".replace(".", "/")
        return f"{module}.{name}" if at.is_dir() or at.with_suffix(".py").exists() else module


@cache
def sources(root: Path) -> dict[str, Source]:
    """Every file of the four rooms, by its module's name."""
    paths = [path.relative_to(root) for room in DOORS for path in (root / room).rglob("*.py")]
    return {
        ".".join(path.with_suffix("").parts).removesuffix(".__init__"): Source(root, str(path))
        for path in sorted(paths)
    }


def crossings(root: Path) -> list[str]:
    """Imports of another room that do not go through one of its doors."""
    return [
        f"{source.file} imports {module}"
        for source in sources(root).values()
        for module in sorted(source.imports)
        if module.split(".")[0] in DOORS.keys() - {source.room} and module not in DOORS[source.room]
    ]


def breaches(root: Path) -> list[str]:
    """Outside libraries that are used on the wrong side of their fence."""
    return [
        f"{source.file} uses {library}"
        for source in sources(root).values()
        for library, allowed in FENCES.items()
        if source.uses(library) and not any(fnmatch(source.file, where) for where in allowed)
    ]


def burdens(root: Path) -> list[str]:
    """Heavy libraries that come along with a door that defines a format."""
    found = sources(root)
    return [
        f"{door} brings {heavy}, by {module}"
        for door in FORMATS
        for module in sorted(_reach(found, door))
        for heavy in sorted(HEAVY)
        if found[module].uses(heavy)
    ]


def impurities(root: Path) -> list[str]:
    """What pure files use of the world, themselves or by what they import. A door is a format."""
    found = sources(root)
    return [
        f"{source.file} is pure and uses {what}, by {behind}"
        for module, source in found.items()
        if source.pure
        for behind in sorted(_reach(found, module, stop=VOCABULARY))
        for what in IMPURE
        if found[behind].uses(what)
    ]


def _reach(found: dict[str, Source], start: str, stop: Iterable[str] = ()) -> set[str]:
    """The project's modules that come along when `start` is imported."""
    behind, ahead = set[str](), {start}
    while ahead:
        behind |= ahead
        imported = set().union(*(found[module].imports for module in ahead))
        ahead = (imported & found.keys()) - behind - set(stop)
    return behind


def tangles(root: Path) -> list[str]:
    """Edges that import another edge: what joins them belongs into a story."""
    all_sources = sources(root)
    return [
        f"{source.file} is an edge and imports {module}"
        for source in all_sources.values()
        for module in sorted(source.imports & all_sources.keys())
        if source.edge and all_sources[module].edge
    ]


CHECKS = (crossings, breaches, burdens, impurities, tangles)


@pytest.mark.parametrize("check", CHECKS)
def test_the_walls_stand(check: Callable[[Path], list[str]]) -> None:
    assert check(ROOT) == []


def test_every_door_says_that_it_is_one() -> None:
    doors = set(FORMATS).union(*DOORS.values())
    said = {m for m, s in sources(ROOT).items() if "Door." in (ast.get_docstring(s.tree) or "")}
    assert doors == said


PURE = '"""Pure."""\n'
NOW = "from datetime import datetime as d\nd.now()"
PLANTED = [
    (crossings, "feedback/bad.py", "import serving.split", "imports serving.split"),
    (crossings, "trainer/bad.py", "from feedback import window", "imports feedback.window"),
    (crossings, "serving/bad.py", "def f():\n    from ops.act import warm", "imports ops.act"),
    (crossings, "ops/demo/bad.py", "from trainer.run import Round", "imports trainer.run"),
    (breaches, "ops/bad.py", "import torch.nn as nn", "uses torch"),
    (breaches, "serving/bad.py", "from vllm.lora import request", "uses vllm"),
    (breaches, "trainer/bad.py", "import os\nx = os.environ['X']", "uses os.environ"),
    (breaches, "feedback/bad.py", "from os import getenv as g\ng('X')", "uses os.getenv"),
    (breaches, "feedback/bad.py", "from prometheus_client import Gauge", "uses prometheus_client"),
    (impurities, "ops/bad.py", f"{PURE}import time", "time, by ops.bad"),
    (impurities, "ops/bad.py", f"{PURE}from time import time as t", "time, by ops.bad"),
    (impurities, "ops/bad.py", f"{PURE}open('x')", "open, by ops.bad"),
    (impurities, "ops/bad.py", f"{PURE}import random as r\nr.choice('x')", "choice, by ops.bad"),
    (impurities, "ops/bad.py", f"{PURE}{NOW}", "datetime.datetime.now, by ops.bad"),
    (impurities, "ops/bad.py", f"{PURE}from ops import act", "socket, by ops.act"),
    (tangles, "ops/bad.py", '"""The only file that x."""\nfrom . import act', "imports ops.act"),
]


@pytest.mark.parametrize(("check", "file", "code", "complaint"), PLANTED)
def test_a_planted_fault_is_found(
    tmp_path: Path, check: Callable[[Path], list[str]], file: str, code: str, complaint: str
) -> None:
    _rooms(tmp_path)
    (tmp_path / file).write_text(code)
    assert [found.partition(" ")[0] for found in check(tmp_path)] == [file]
    assert check(tmp_path)[0].endswith(complaint)


def test_a_library_behind_two_imports_of_a_door_is_found(tmp_path: Path) -> None:
    _rooms(tmp_path)
    (tmp_path / "serving/split.py").write_text("from feedback.events import x")
    (tmp_path / "feedback/events.py").write_text("from feedback.window import y")
    (tmp_path / "feedback/window.py").write_text("import fastapi.responses")
    assert "serving.split brings fastapi, by feedback.window" in burdens(tmp_path)


def _rooms(root: Path) -> None:
    """Four rooms with a door each, and an edge."""
    for file in ("feedback/events.py", "feedback/examples.py", "trainer/adapters.py"):
        (root / file).parent.mkdir(exist_ok=True)
        (root / file).touch()
    for file in ("serving/split.py", "ops/demo/users.py", "feedback/window.py"):
        (root / file).parent.mkdir(exist_ok=True, parents=True)
        (root / file).touch()
    (root / "ops/act.py").write_text('"""The only file that acts."""\nimport socket')
