"""The demo fails when any one thing that it is to show did not happen."""

from dataclasses import replace

import pytest

from ops.demo.claims import claims
from ops.demo.diary import Accepted
from ops.demo.findings import Record
from tests.ops.demo.made import told


@pytest.fixture(scope="module")
def record() -> Record:
    return told()


def failed(record: Record) -> list[str]:
    return [claim.what for claim in claims(record) if not claim.holds]


def without(record: Record, action: str, adapter: str) -> Record:
    kept = [m for m in record.moves if (m.action, m.adapter) != (action, adapter)]
    return replace(record, moves=kept)


def test_a_good_demo_shows_everything(record: Record) -> None:
    assert failed(record) == []


def test_an_empty_log_shows_nothing() -> None:
    assert len(failed(Record())) == len(claims(Record())) == 5


def test_one_promotion_is_not_two(record: Record) -> None:
    (what, *_) = failed(without(record, "promoted", "model-v2"))
    assert what == "2 rounds earned their promotion"


def test_the_lift_is_that_of_the_last_promoted(record: Record) -> None:
    # model-v1 alone lifts by 30 points.
    assert any("lifted" in what for what in failed(without(record, "promoted", "model-v2")))


def test_a_sabotage_that_was_never_tried_proves_nothing(record: Record) -> None:
    untried = without(record, "started", "model-v3")
    assert failed(untried) == ["a sabotaged adapter was found out and withdrawn"]


def test_a_sabotage_withdrawn_by_hand_was_not_found_out(record: Record) -> None:
    moves = [m.model_copy(update={"by": "ann"}) for m in record.moves]
    assert failed(replace(record, moves=moves)) == [
        "a sabotaged adapter was found out and withdrawn"
    ]


def test_a_rollback_that_moves_no_traffic_is_none(record: Record) -> None:
    last = record.splits[-1].revision
    silent = [c for c in record.completions if c.split_revision != last]
    assert failed(replace(record, completions=silent)) == [
        "a rollback by hand gave the traffic to the former adapter"
    ]


def test_an_accepted_verdict_without_its_example_is_lost(record: Record) -> None:
    accepted = [*record.accepted, Accepted("chatcmpl-gone", True)]
    assert failed(replace(record, accepted=accepted)) == ["no verdict that was accepted was lost"]


def test_an_accepted_verdict_that_was_turned_round_is_lost(record: Record) -> None:
    first, *others = record.accepted
    turned = [Accepted(first.completion_id, not first.up), *others]
    assert failed(replace(record, accepted=turned)) == ["no verdict that was accepted was lost"]
