"""A file → the plan of rounds, or what is wrong in it and what was meant. Knows no torch."""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterable
from difflib import get_close_matches
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from feedback.events import complaint
from trainer.backends import TRL
from trainer.plan import Plan


class BadPlan(ValueError):
    """Rounds cannot be run by it; the message names the file and what is wrong in it."""


def read_plan(path: Path | None) -> Plan:
    """The plan with the fields that this JSON file changes."""
    if path is None:
        return Plan()
    try:
        said = path.read_bytes().removeprefix(BOM_UTF8)
        plan = Plan.model_validate_json(said)
    except OSError as error:
        raise BadPlan(f"plan is {str(path)!r}; expected a JSON file: {error}") from error
    except ValidationError as error:
        wrong = error.errors(include_url=False)
        # Those that only wait for others to be right.
        told = "; ".join(_told(one) for one in wrong if one["type"] != "default_factory_not_called")
        raise BadPlan(f"plan {str(path)!r}: {told}") from error
    if twice := _twice(said):
        raise BadPlan(f"plan {str(path)!r}: {twice} stands there twice; expected it once")
    check_backend(plan)
    return plan


def _twice(said: bytes) -> str | None:
    """Of a name that stands there twice JSON's readers take the last."""
    names: list[str] = []
    json.loads(said, object_pairs_hook=lambda pairs: names.extend(name for name, _ in pairs))
    return next((name for name in names if names.count(name) > 1), None)


def _told(one: ErrorDetails) -> str:
    name = ".".join(map(str, one["loc"]))
    if one["type"] == "extra_forbidden":
        return f"{name} is no field of a plan{_meant(name, Plan.model_fields)}"
    if one["type"] == "literal_error":
        expected = re.findall(r"'(.+?)'", one["ctx"]["expected"])
        return complaint(one) + _meant(str(one["input"]), expected)
    if one["type"] == "model_type":
        return f"a plan is a JSON object (got {one['input']!r:.80})"
    return complaint(one)


def _meant(said: str, known: Iterable[str]) -> str:
    names = {name.casefold(): name for name in known}
    near = get_close_matches(said.casefold(), names, n=1)
    return f": did you mean {names[near[0]]}?" if near else ""


def check_backend(plan: Plan) -> None:
    """Not with the fields: a plan is also read where nothing is to be trained."""
    if plan.backend == "own":
        return
    try:
        found = version("trl")
    except PackageNotFoundError:
        found = "not installed"
    if found != TRL:
        raise BadPlan(
            f"backend is 'trl', and TRL is {found}; expected {TRL}: pip install 'thumbwheel[trl]'"
        )


def sought_in(path: str) -> str:
    """Where a plan's file is looked for, if that is where its reader runs."""
    return "" if Path(path).is_absolute() else f" in {Path.cwd()}"
