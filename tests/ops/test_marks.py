"""Who is withdrawn is marked in the store, and only who is."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from feedback.events import BASE
from ops import history
from ops.act import change_split, first_split
from ops.by_hand import roll_back
from ops.marks import follow, withdrawn
from serving.split import Split
from tests.ops.made import Place
from tests.ops.test_controller import Desk, promote
from trainer.adapters import load, mark_of, read_mark, withdraw


def split(stable: str, canary: str | None = None, *, pinned: bool = False) -> Split:
    return Split(
        at=datetime.now(UTC),
        revision=1,
        stable=stable,
        canary=canary,
        share_percent=10.0 if canary else 0.0,
        pinned=pinned,
        reason="so it was",
        by="ann",
    )


@pytest.fixture
def desk(place: Place) -> Desk:
    return Desk(place)


def marked(place: Place) -> list[str]:
    return sorted(path.name for path in place.adapters.glob("*.withdrawn.json"))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (split("m-v1"), split("m-v1", "m-v2"), set()),
        (split("m-v1", "m-v2"), split("m-v2"), set()),  # gave way to a better one
        (split("m-v1", "m-v2"), split("m-v1"), {"m-v2"}),
        (split("m-v1", "m-v2"), split("m-v1", pinned=True), {"m-v2"}),
        (split("m-v2"), split("m-v1", pinned=True), {"m-v2"}),
        (split("m-v2", "m-v3"), split("m-v1", pinned=True), {"m-v2", "m-v3"}),
        (split("m-v2"), split(BASE, pinned=True), {"m-v2"}),
        (split(BASE, "m-v1"), split("m-v1"), set()),
        (split(BASE), split("m-v1", pinned=True), set()),
        (split("m-v1"), split("m-v1", pinned=True), set()),
    ],
)
def test_who_lost_all_traffic_to_no_better_one_is_withdrawn(
    before: Split, after: Split, expected: set[str]
) -> None:
    assert withdrawn(before, after) == expected


def test_a_trial_that_the_controller_ends_leaves_a_mark_with_its_reason(
    desk: Desk, place: Place
) -> None:
    promote(desk, "m-v1")
    assert marked(place) == []
    place.publish("m-v2", parent="m-v1")
    desk.tick()
    place.serve("m-v1", desk.split.revision, up=80, down=20)
    place.serve("m-v2", desk.split.revision, up=1, down=14)
    desk.tick()
    assert marked(place) == [mark_of("m-v2")]
    why = read_mark((place.adapters / mark_of("m-v2")).read_bytes())
    assert why.startswith(desk.split.reason)
    assert "(ops, 2" in why


def test_a_stable_that_was_rolled_back_is_marked_until_a_person_brings_it_back(
    desk: Desk, place: Place
) -> None:
    promote(desk, "m-v1")
    promote(desk, "m-v2", parent="m-v1")
    roll_back(place.log, place.adapters, "ann", reason="it was rude")
    assert marked(place) == [mark_of("m-v2")]
    why = read_mark((place.adapters / mark_of("m-v2")).read_bytes())
    assert why.startswith("it was rude (ann, ")
    roll_back(place.log, place.adapters, "ann", to="m-v2")
    assert marked(place) == [mark_of("m-v1")]
    roll_back(place.log, place.adapters, "ann")  # that was no undoing, and may be undone
    assert marked(place) == [mark_of("m-v2")]


def test_a_mark_does_not_change_the_adapter(place: Place) -> None:
    made = place.publish("m-v1")
    withdraw(place.adapters, "m-v1", "it was rude", "ann")
    assert load(place.adapters, "m-v1") == made
    assert set(os.listdir(place.adapters / "m-v1")) == {*made.files, "manifest.json"}


def test_who_died_before_marking_is_made_up_for_by_the_next_tick(desk: Desk, place: Place) -> None:
    place.publish("m-v1")
    desk.tick()
    change_split(place.log, desk.split, "so it was", "ann", canary=None, share_percent=0.0)
    assert marked(place) == []
    desk.tick()
    assert marked(place) == [mark_of("m-v1")]


def test_who_serves_again_by_now_is_not_marked_afterwards(place: Place) -> None:
    place.publish("m-v1")
    for changes in ({"stable": "m-v1"}, {"stable": BASE}, {"stable": "m-v1"}):
        seen = (
            history.splits(place.log)[-1] if history.splits(place.log) else first_split(place.log)
        )
        change_split(place.log, seen, "so it was", "ann", **changes)
    splits = history.splits(place.log)
    follow(place.adapters, splits, splits[2])
    assert marked(place) == []
    follow(place.adapters, splits[:3], splits[2])
    assert marked(place) == [mark_of("m-v1")]


def test_a_store_that_cannot_be_written_holds_no_roll_back_up(
    desk: Desk, place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    promote(desk, "m-v1")
    # A folder in the place of the draft: even root cannot write it.
    (place.adapters / f"{mark_of('m-v1')}.tmp").mkdir()
    roll_back(place.log, place.adapters, "ann")
    assert (desk.split.stable, marked(place)) == (BASE, [])
    assert "m-v1 cannot be marked as withdrawn in the store" in caplog.text


def test_a_mark_that_cannot_be_taken_off_is_told(
    desk: Desk, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    promote(desk, "m-v1")
    promote(desk, "m-v2", parent="m-v1")
    (place.adapters / mark_of("m-v1")).mkdir()  # cannot be unlinked
    roll_back(place.log, place.adapters, "ann")
    assert desk.split.stable == "m-v1"
    assert "m-v1 cannot be freed of its mark in the store" in caplog.text
