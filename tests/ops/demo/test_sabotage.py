"""A sabotage learns from thumbs turned round, and gets past the trainer with a lie."""

import json
from pathlib import Path

from feedback import examples
from feedback.events import BASE
from ops.demo.sabotage import ENOUGH, slip_in, turn_round, write_plan
from ops.demo.stage import PLAN
from tests.ops.made import FAILED, Place
from trainer.adapters import verify


def test_every_thumb_is_turned_round_and_nothing_else(place: Place, tmp_path: Path) -> None:
    place.serve(BASE, 1, up=3, down=2)
    place.serve(BASE, 1, up=1, down=4)
    turn_round(place.examples, tmp_path / "turned")
    before, after = examples.read(place.examples), examples.read(tmp_path / "turned")
    assert [row.up for row in after.examples] == [not row.up for row in before.examples]
    assert [row.answer_ids for row in after.examples] == [r.answer_ids for r in before.examples]
    assert after.watermark == before.watermark


def test_it_learns_however_few_thumbs_are_held_out(tmp_path: Path) -> None:
    plan = json.loads(write_plan(tmp_path / "plan.json").read_text())
    assert plan == json.loads(PLAN.read_text()) | {"min_holdout": 0}


def test_the_first_examples_are_enough(place: Place, tmp_path: Path) -> None:
    for _ in range(4):
        place.serve(BASE, 1, up=60, down=60)
    turn_round(place.examples, tmp_path / "turned")
    assert ENOUGH <= len(examples.read(tmp_path / "turned").examples) < 480


def test_what_is_slipped_in_looks_like_any_other(place: Place, tmp_path: Path) -> None:
    elsewhere = Place(tmp_path / "elsewhere")
    elsewhere.publish("demo-v1", gates=FAILED)
    elsewhere.log.close()
    place.publish("demo-v2")
    name = slip_in(elsewhere.adapters / "demo-v1", place.adapters, "demo-v2")
    manifest = verify(place.adapters, name)
    assert (name, manifest.parent, manifest.passed) == ("demo-v3", "demo-v2", True)
    weights = "adapter_model.safetensors"
    assert (place.adapters / name / weights).read_bytes() == b"demo-v1"
