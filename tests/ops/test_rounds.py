"""One line for each round, with what its manifest knows and no more."""

import re
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from rich.table import Column

from feedback.events import BASE
from ops.rounds import ancestors, rounds
from tests.ops.made import FAILED, Place
from trainer.adapters import Estimate, Manifest

SEEN = {
    "kept_epochs": 0.5,
    "reward_gain": 0.5,
    "reward_gain_per_root_nat": 0.25,
    "second_opinion_gain": 0.4,
    "beyond_reach": 0.11,
    "beyond_reach_parent": 0.06,
    "held_out_accuracy": 0.75,
    "length": 24.0,
    "length_parent": 32.0,
    "repetition": 0.03,
    "repetition_parent": 0.01,
}


def table(place: Place) -> dict[str, dict[str, str]]:
    """Of each adapter what is told of it, each value by its name."""
    first, *others = ([str(cell).splitlines() for cell in c.cells] for c in columns(place))
    return {
        name: {"parent": parent, "method": method, "outcome": outcome}
        | dict(value(line) for cells in others for line in cells[at])
        for at, (name, parent, method, outcome) in enumerate(first)
    }


def columns(place: Place) -> list[Column]:
    return rounds(place.adapters).columns


def value(line: str) -> tuple[str, str]:
    """`length 0.75 times` → its name, and the rest from the first sign or digit on."""
    found = re.fullmatch(r"(.+?) ([-+0-9].*)", line)
    assert found is not None, line
    return found[1], found[2]


def rewritten(place: Place, name: str, **changes: Any) -> None:
    path = place.adapters / name / "manifest.json"
    manifest = Manifest.model_validate_json(path.read_bytes())
    path.write_text(manifest.model_copy(update=changes).model_dump_json())


def test_every_adapter_is_told_oldest_first(place: Place) -> None:
    for number in (10, 2, 1):
        place.publish(f"m-v{number}")
    assert [*table(place)] == ["m-v1", "m-v2", "m-v10"]


def test_what_the_watch_saw_is_told(place: Place) -> None:
    place.publish("m-v1", gates=FAILED)
    kl = {
        "base": Estimate(value=9.0, stderr=0.1, n=9),
        "parent": Estimate(value=4.0, stderr=0, n=9),
    }
    curves = {"reward_order": (0.5, 0.75)}
    rewritten(place, "m-v1", plan={"method": "rloo"}, kl=kl, scores=SEEN, curves=curves)
    assert table(place)["m-v1"] == {
        "parent": f"of {BASE}",
        "method": "rloo",
        "outcome": "failed kl",
        "epochs kept": "0.5",
        "KL to base": "9.00",
        "√KL to parent": "2.00",
        "reward gained": "+0.50",
        "a √nat": "+0.25",
        "before": "-",
        "reward right": "75%",
        "second opinion": "+0.40",
        "beyond reach": "+5.0%",
        "held-out accuracy": "75%",
        "length": "0.75 times",
        "repetition": "+2.0%",
    }


def test_what_a_manifest_lacks_is_a_dash(place: Place) -> None:
    place.publish("m-v1", gates=())
    told = table(place)["m-v1"]
    assert (told.pop("parent"), told.pop("outcome")) == (f"of {BASE}", "no gates")
    assert set(told.values()) == {"-"}


def test_a_gain_is_set_beside_those_of_its_own_line(place: Place) -> None:
    for name, parent, gain in (
        ("m-v1", BASE, 0.9),
        ("m-v2", "m-v1", 0.5),
        ("m-v3", "m-v1", 0.1),  # of another line
        ("m-v4", "m-v2", 0.0),
        ("m-v5", "m-v4", -0.2),
    ):
        place.publish(name, parent=parent)
        rewritten(place, name, scores={"reward_gain_per_root_nat": gain})
    before = {name: (told["a √nat"], told["before"]) for name, told in table(place).items()}
    assert before == {
        "m-v1": ("+0.90", "-"),
        "m-v2": ("+0.50", "+0.90"),
        "m-v3": ("+0.10", "+0.90"),
        "m-v4": ("+0.00", "+0.70"),
        "m-v5": ("-0.20", "+0.47"),
    }


@pytest.mark.parametrize("parent", ["m-v1", "m-v2", "gone-v0"])
def test_a_line_that_comes_back_to_itself_ends(place: Place, parent: str) -> None:
    made = {"m-v1": place.publish("m-v1", parent=parent)}
    made["m-v2"] = place.publish("m-v2", parent="m-v1")
    assert [one.name for one in ancestors(made["m-v2"], made)] == ["m-v1"]


def test_all_of_it_is_read_on_eighty_columns(place: Place) -> None:
    place.publish("support-v12", gates=FAILED)
    rewritten(place, "support-v12", plan={"method": "online_dpo"}, scores=SEEN)
    screen = Console(width=80, file=StringIO())
    screen.print(rounds(place.adapters))
    assert isinstance(screen.file, StringIO)
    said = screen.file.getvalue()
    for told in ("support-v12", "online_dpo", "failed kl", "held-out accuracy 75%", "0.75 times"):
        assert told in said
    assert "\u2026" not in said
