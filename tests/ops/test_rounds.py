"""One line for each round, with what its manifest knows and no more."""

from typing import Any

import pytest

from feedback.events import BASE
from ops.rounds import ancestors, rounds
from tests.ops.made import FAILED, Place
from trainer.adapters import Estimate, Manifest

SEEN = {
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
    """Each row by its adapter, each cell by its column."""
    found = rounds(place.adapters)
    cells = {str(column.header): [str(cell) for cell in column.cells] for column in found.columns}
    names = cells.pop("adapter")
    return {name: {key: cells[key][at] for key in cells} for at, name in enumerate(names)}


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
    rewritten(place, "m-v1", plan={"method": "rloo"}, kl=kl, scores=SEEN)
    assert table(place)["m-v1"] == {
        "parent": BASE,
        "method": "rloo",
        "outcome": "kl",
        "KL to base": "9.00",
        "√KL to parent": "2.00",
        "reward gained": "+0.50",
        "a √nat": "+0.25",
        "before": "-",
        "second opinion": "+0.40",
        "beyond what was rated": "+5.0%",
        "held-out preference": "75%",
        "length": "0.75 times",
        "repetition": "+2.0%",
    }


def test_what_a_manifest_lacks_is_a_dash(place: Place) -> None:
    place.publish("m-v1", gates=())
    told = table(place)["m-v1"]
    assert (told.pop("parent"), told.pop("outcome")) == (BASE, "no gates")
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
