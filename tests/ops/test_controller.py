"""The controller on a real log and real folders: every tick starts from what is there."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from feedback.events import BASE
from ops import history
from ops.act import CannotLoad, change_split
from ops.by_hand import NothingToDo, pause, resume, roll_back
from ops.controller import Controller, Parts
from ops.decide import Decision, Hold, Promote, Rules, Start, Step, Withdraw
from ops.guardrails import Limits
from ops.metrics import Metrics
from ops.observe import Observer
from ops.refusal import USUAL, compiled
from ops.trial import Fates
from serving.split import Split
from tests.ops.made import FAILED, Place
from trainer.adapters import load

RULES = Rules(
    steps_percent=(10, 50),
    min_seconds=0,
    min_completions=10,
    min_verdicts=5,
    deadline_seconds=60,
    limits=Limits(kl_stable=None, kl_base=None),
)


class Desk:
    """A fresh controller for every tick, as if it had been killed in between."""

    def __init__(self, place: Place) -> None:
        self.place, self.warmed, self.refuses = place, list[str](), False
        self.leads: Callable[[], bool] = lambda: True
        self.rules = RULES

    def tick(self) -> Decision:
        return self.controller().tick()

    def controller(self) -> Controller:
        parts = Parts(
            log=self.place.log,
            adapters=self.place.adapters,
            name="m",
            observer=Observer(self.place.log, self.place.examples, compiled(USUAL)),
            warm=self._warm,
            leads=self.leads,
            metrics=Metrics(),
        )
        return Controller(parts, self.rules)

    def _warm(self, adapter: str) -> None:
        self.warmed.append(adapter)
        if self.refuses:
            raise CannotLoad(f"the engine refused {adapter}")

    @property
    def split(self) -> Split:
        return history.splits(self.place.log)[-1]

    def actions(self) -> list[tuple[str, str]]:
        return [(move.action, move.adapter) for move in history.moves(self.place.log)]

    def fate(self, name: str) -> str:
        past = history.Past(self.place.log)
        return Fates(past.splits(), past.moves()).of(load(self.place.adapters, name))


@pytest.fixture
def desk(place: Place) -> Desk:
    return Desk(place)


def promote(desk: Desk, name: str, parent: str = BASE) -> None:
    desk.place.publish(name, parent=parent)
    desk.tick()
    desk.place.serve(parent, desk.split.revision, up=20, down=80)
    desk.place.serve(name, desk.split.revision, up=9, down=1)
    desk.tick()
    desk.place.serve(name, desk.split.revision, up=90, down=10)
    desk.place.serve(parent, desk.split.revision, silent=100)
    assert isinstance(desk.tick(), Promote)


def try_second(desk: Desk) -> None:
    """m-v1 is stable, and m-v2 its canary."""
    promote(desk, "m-v1")
    desk.place.publish("m-v2", parent="m-v1")
    assert isinstance(desk.tick(), Start)


def test_the_first_tick_writes_the_first_split(desk: Desk) -> None:
    assert isinstance(desk.tick(), Hold)
    assert (desk.split.revision, desk.split.stable, desk.split.canary) == (1, BASE, None)
    desk.tick()
    assert desk.split.revision == 1


def test_a_better_adapter_is_promoted_step_by_step(desk: Desk, place: Place) -> None:
    place.publish("m-v1")
    assert isinstance(desk.tick(), Start)
    assert desk.warmed == ["m-v1"]
    assert (desk.split.canary, desk.split.share_percent) == ("m-v1", 10)
    place.serve(BASE, desk.split.revision, up=20, down=80)
    place.serve("m-v1", desk.split.revision, up=9, down=1)
    assert isinstance(desk.tick(), Step)
    assert desk.split.share_percent == 50
    place.serve("m-v1", desk.split.revision, up=90, down=10)
    place.serve(BASE, desk.split.revision, silent=100)
    assert isinstance(desk.tick(), Promote)
    assert (desk.split.stable, desk.split.canary) == ("m-v1", None)
    assert desk.actions() == [("started", "m-v1"), ("stepped", "m-v1"), ("promoted", "m-v1")]
    assert desk.fate("m-v1") == "stable"
    assert isinstance(desk.tick(), Hold)


def test_a_sick_canary_is_withdrawn_and_never_tried_again(desk: Desk, place: Place) -> None:
    promote(desk, "m-v1")
    place.publish("m-v2", parent="m-v1")
    desk.tick()
    place.serve("m-v1", desk.split.revision, up=80, down=20)
    place.serve("m-v2", desk.split.revision, up=1, down=18)
    assert isinstance(desk.tick(), Withdraw)
    assert (desk.split.stable, desk.split.canary) == ("m-v1", None)
    assert desk.fate("m-v2") == "withdrawn"
    assert isinstance(desk.tick(), Hold)


def test_only_thumbs_of_the_trial_count(desk: Desk, place: Place) -> None:
    desk.tick()
    place.serve(BASE, 1, up=500)  # before the trial: no evidence against the canary
    place.publish("m-v1")
    desk.tick()
    place.serve("m-v1", None, up=500)  # asked for by name: no evidence for it
    place.serve("m-v1", desk.split.revision, silent=30)
    place.serve(BASE, desk.split.revision, silent=270)
    decision = desk.tick()
    assert isinstance(decision, Hold)
    assert "thumbs 0/0 against 0/0" in decision.reason


def test_an_adapter_that_failed_its_gates_or_has_none_gets_no_traffic(
    desk: Desk, place: Place
) -> None:
    place.publish("m-v0", gates=())
    place.publish("m-v1", gates=FAILED)
    assert isinstance(desk.tick(), Hold)
    assert (desk.fate("m-v0"), desk.fate("m-v1")) == ("no gates", "gates failed")


def test_an_adapter_whose_parent_does_not_serve_gets_no_traffic(desk: Desk, place: Place) -> None:
    place.publish("m-v1", parent="m-v9")
    assert isinstance(desk.tick(), Hold)
    assert desk.fate("m-v1") == "stale"


def test_who_does_not_lead_writes_nothing(place: Place) -> None:
    desk = Desk(place)
    desk.leads = lambda: False
    place.publish("m-v1")
    assert desk.tick() == Hold("another controller leads")
    assert not history.splits(place.log)
    assert not desk.warmed
    assert not any(place.log.end("decisions").values())


@pytest.mark.parametrize("held", [(True, False), (True, True, False)])
def test_who_slept_through_its_lease_moves_nothing(place: Place, held: tuple[bool, ...]) -> None:
    """While it looked, or while an engine loaded the adapter."""
    desk = Desk(place)
    desk.tick()
    desk.leads = iter(held).__next__
    place.publish("m-v1")
    desk.tick()
    assert desk.split.revision == 1
    assert desk.actions() == []


def test_an_adapter_that_an_engine_refused_too_late_is_refused_by_nobody(place: Place) -> None:
    desk = Desk(place)
    desk.refuses, desk.leads = True, iter((True, True, False)).__next__
    place.publish("m-v1")
    desk.tick()
    assert desk.actions() == []


def test_each_tick_that_saw_something_new_is_on_the_log_with_its_numbers(
    desk: Desk, place: Place
) -> None:
    place.publish("m-v1")
    one = desk.controller()
    for _ in range(3):
        one.tick()
    place.serve(BASE, desk.split.revision, up=20, down=80)
    place.serve("m-v1", desk.split.revision, up=2, down=7)
    for _ in range(3):
        one.tick()
    looks = history.looks(place.log, "m-v1", 100)
    assert [look.decision for look in looks] == ["start", "hold", "hold"]
    start, before, after = looks
    # None before the trial.
    assert start.since == {"completions/0": 0, "verdicts/0": 0, "scores/0": 0}
    assert before.seen["canary.completions"] == 0
    assert after.seen["canary.thumbs_up"] == 2
    assert after.seen["thumbs.gain"] == pytest.approx(3 / 11 - 21 / 102)
    assert after.seen["thumbs.gain.low"] < 0 < after.seen["thumbs.gain.high"]
    assert "kl.stable" not in after.seen  # not known, so not told


def test_a_canary_whose_drift_nobody_measures_gets_no_more_traffic(place: Place) -> None:
    desk = Desk(place)
    desk.rules = replace(RULES, limits=Limits())
    place.publish("m-v1")
    desk.tick()
    place.serve(BASE, desk.split.revision, up=20, down=80)
    place.serve("m-v1", desk.split.revision, up=9, down=1)
    decision = desk.tick()
    assert isinstance(decision, Hold)
    assert "0 live answers are scored, 20 tell its KL" in decision.reason


def test_an_adapter_of_another_series_is_not_tried(desk: Desk, place: Place) -> None:
    place.publish("other-v7")
    assert isinstance(desk.tick(), Hold)
    assert desk.split.canary is None


def test_only_the_newest_waits(desk: Desk, place: Place) -> None:
    place.publish("m-v1")
    place.publish("m-v10")
    place.publish("m-v2")
    desk.tick()
    assert desk.split.canary == "m-v10"


def test_an_adapter_that_the_engine_refuses_gets_no_traffic(desk: Desk, place: Place) -> None:
    place.publish("m-v1")
    desk.refuses = True
    desk.tick()
    desk.tick()
    assert desk.warmed == ["m-v1"]  # once, then never again
    assert desk.split.canary is None
    assert desk.actions() == [("refused", "m-v1")]


def test_a_roll_back_that_is_asked_twice_undoes_one_move(desk: Desk, place: Place) -> None:
    try_second(desk)
    roll_back(place.log, place.adapters, "ann")
    with pytest.raises(NothingToDo, match="taken back already, at revision"):
        roll_back(place.log, place.adapters, "ann")
    assert (desk.split.stable, desk.split.canary) == ("m-v1", None)
    roll_back(place.log, place.adapters, "ann", to=BASE)  # who means it says so
    assert desk.split.stable == BASE


def test_who_rolls_back_what_automation_has_just_withdrawn_undoes_no_promotion(
    desk: Desk, place: Place
) -> None:
    try_second(desk)
    place.serve("m-v1", desk.split.revision, up=80, down=20)
    place.serve("m-v2", desk.split.revision, up=1, down=18)
    assert isinstance(desk.tick(), Withdraw)
    with pytest.raises(NothingToDo, match="taken back already, at revision 6 by ops: worse"):
        roll_back(place.log, place.adapters, "ann")
    assert desk.split.stable == "m-v1"


def test_a_roll_back_past_stable_takes_the_canary_along_and_tells_of_both(
    desk: Desk, place: Place
) -> None:
    try_second(desk)
    roll_back(place.log, place.adapters, "ann", to=BASE)
    assert desk.actions()[-2:] == [("rolled_back", "m-v1"), ("rolled_back", "m-v2")]
    desk.tick()
    assert desk.actions()[-2:] == [("rolled_back", "m-v1"), ("rolled_back", "m-v2")]
    assert (desk.fate("m-v1"), desk.fate("m-v2")) == ("rolled back", "withdrawn")


def test_an_adapter_whose_files_were_changed_gets_no_traffic(desk: Desk, place: Place) -> None:
    place.publish("m-v1")
    (place.adapters / "m-v1" / "adapter_model.safetensors").write_bytes(b"other")
    desk.tick()
    assert desk.warmed == []
    assert "digest" in history.moves(place.log)[0].reason


def test_a_roll_back_undoes_the_last_move_and_holds(desk: Desk, place: Place) -> None:
    promote(desk, "m-v1")
    promote(desk, "m-v2", parent="m-v1")
    roll_back(place.log, place.adapters, "ann")
    assert (desk.split.stable, desk.split.pinned, desk.split.by) == ("m-v1", True, "ann")
    assert (desk.fate("m-v1"), desk.fate("m-v2")) == ("stable", "rolled back")
    place.publish("m-v3", parent="m-v1")
    assert isinstance(desk.tick(), Hold)
    resume(place.log, "ann")
    assert isinstance(desk.tick(), Start)
    roll_back(place.log, place.adapters, "ann")
    assert (desk.split.stable, desk.split.canary) == ("m-v1", None)
    assert desk.fate("m-v3") == "withdrawn"


def test_a_canarys_traffic_is_taken_whatever_became_of_stables_files(
    desk: Desk, place: Place
) -> None:
    try_second(desk)
    (place.adapters / "m-v1" / "adapter_model.safetensors").write_bytes(b"damaged")
    roll_back(place.log, place.adapters, "ann")
    assert (desk.split.stable, desk.split.canary) == ("m-v1", None)


def test_a_move_whose_author_died_before_recording_it_is_recorded_by_the_next_tick(
    desk: Desk, place: Place
) -> None:
    desk.tick()
    for changes in (
        {"canary": "m-v1", "share_percent": 10.0},
        {"share_percent": 50.0},
        {"stable": "m-v1", "canary": None, "share_percent": 0.0},
        {"canary": "m-v2", "share_percent": 10.0},
        {"canary": None, "share_percent": 0.0},
        {"stable": BASE, "pinned": True},
        {"pinned": False},
    ):
        change_split(place.log, desk.split, "so it was", "ann", **changes)
    desk.tick()
    desk.tick()
    assert desk.actions() == [
        ("started", "m-v1"),
        ("stepped", "m-v1"),
        ("promoted", "m-v1"),
        ("started", "m-v2"),
        ("withdrawn", "m-v2"),
        ("rolled_back", "m-v1"),
        ("resumed", BASE),
    ]
    assert {move.by for move in history.moves(place.log)} == {"ann"}


def test_while_paused_nothing_moves(desk: Desk, place: Place) -> None:
    place.publish("m-v1")
    desk.tick()
    pause(place.log, "ann", "a quiet weekend")
    place.serve(BASE, desk.split.revision, up=80, down=20)
    place.serve("m-v1", desk.split.revision, up=0, down=60)
    decision = desk.tick()
    assert isinstance(decision, Hold)
    assert "a quiet weekend" in decision.reason
    resume(place.log, "ann")
    assert isinstance(desk.tick(), Withdraw)


def test_errors_withdraw_but_readers_who_hang_up_do_not(desk: Desk, place: Place) -> None:
    place.publish("m-v1")
    desk.tick()
    place.serve(BASE, desk.split.revision, silent=390)
    place.serve("m-v1", desk.split.revision, silent=30, error="client closed")
    assert isinstance(desk.tick(), Hold)
    place.serve("m-v1", desk.split.revision, silent=20, error="the engine broke off")
    decision = desk.tick()
    assert isinstance(decision, Withdraw)
    assert "20/50 against 0/390" in decision.reason


def test_an_engine_that_is_away_for_all_withdraws_nobody(desk: Desk, place: Place) -> None:
    place.publish("m-v1")
    desk.tick()
    place.serve(BASE, desk.split.revision, silent=200, error="the engine cannot be reached")
    place.serve("m-v1", desk.split.revision, silent=25, error="the engine cannot be reached")
    place.serve("m-v1", desk.split.revision, silent=5)
    assert isinstance(desk.tick(), Hold)


def test_a_burst_of_errors_after_the_share_has_grown_withdraws_nobody(
    desk: Desk, place: Place
) -> None:
    place.publish("m-v1")
    desk.tick()
    place.serve(BASE, desk.split.revision, up=40, down=60)
    place.serve("m-v1", desk.split.revision, up=8, down=2)
    assert isinstance(desk.tick(), Step)  # from 10% to 50%; then the engine goes away
    place.serve(BASE, desk.split.revision, silent=150, error="the engine cannot be reached")
    place.serve("m-v1", desk.split.revision, silent=150, error="the engine cannot be reached")
    assert isinstance(desk.tick(), Hold)
