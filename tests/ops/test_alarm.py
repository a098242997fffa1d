"""What an alert undoes, and what it leaves alone however often it is told."""

from datetime import UTC, datetime, timedelta

import pytest

from feedback.events import BASE
from ops import history
from ops.alarm import Alert, heed
from ops.by_hand import NothingToDo, current, pause, resume, roll_back
from ops.trial import Fates
from serving.split import Split
from tests.ops.made import Place
from tests.ops.moved import begin, promote
from trainer.adapters import load

DAY = 86_400.0


def alert(**more: object) -> Alert:
    told = {
        "status": "firing",
        "labels": {"alertname": "CanaryErrors", "thumbwheel_action": "rollback"},
        "annotations": {"summary": "5% more errors"},
        "startsAt": datetime.now(UTC),
    }
    return Alert.model_validate(told | more)


def tell(place: Place, alert: Alert, reach: float = DAY) -> Split:
    return heed(place.log, place.adapters, alert, reach)


def test_the_canary_is_withdrawn_and_automation_goes_on(place: Place) -> None:
    begin(place, "m-v1")
    split = tell(place, alert())
    assert (split.stable, split.canary, split.pinned) == (BASE, None, False)
    assert (split.by, split.reason) == ("alertmanager", "CanaryErrors: 5% more errors")
    manifest = load(place.adapters, "m-v1")
    fates = Fates(history.splits(place.log), history.moves(place.log))
    assert fates.of(manifest) == "withdrawn"


def test_an_alert_that_is_told_again_changes_nothing(place: Place) -> None:
    promote(place, "m-v1")
    promote(place, "m-v2")
    begin(place, "m-v3")
    one = alert()
    tell(place, one)
    for _ in range(3):
        with pytest.raises(NothingToDo, match="changed who serves"):
            tell(place, one)
    assert current(place.log).stable == "m-v2"


def test_without_a_canary_the_last_promotion_is_undone(place: Place) -> None:
    promote(place, "m-v1")
    promote(place, "m-v2")
    split = tell(place, alert())
    assert (split.stable, split.pinned) == ("m-v1", False)
    with pytest.raises(NothingToDo, match="no promotion to undo"):
        tell(place, alert())  # the next alert: what was undone is not undone further
    assert current(place.log).stable == "m-v1"


def test_what_was_promoted_long_ago_is_not_its_cause(place: Place) -> None:
    promote(place, "m-v1")
    with pytest.raises(NothingToDo, match="too long ago"):
        tell(place, alert(), reach=0.0)
    assert current(place.log).stable == "m-v1"


def test_an_alert_about_another_canary_is_not_about_this_one(place: Place) -> None:
    begin(place, "m-v2")
    labels = {"alertname": "AdapterNotLoaded", "thumbwheel_action": "rollback"}
    with pytest.raises(NothingToDo, match="it is about m-v1, and the canary is m-v2"):
        tell(place, alert(labels=labels | {"canary": "m-v1"}))
    assert tell(place, alert(labels=labels | {"canary": "m-v2"})).canary is None


def test_an_alert_that_began_before_the_canary_is_not_about_it(place: Place) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    begin(place, "m-v1")
    with pytest.raises(NothingToDo, match="changed who serves"):
        tell(place, alert(startsAt=before))
    assert current(place.log).canary == "m-v1"


def test_an_alert_that_began_before_a_step_of_the_canary_is_about_it(place: Place) -> None:
    begin(place, "m-v1")
    one = alert()
    pause(place.log, "ann")
    resume(place.log, "ann")
    assert tell(place, one).canary is None


def test_of_a_paused_split_the_canary_alone_is_withdrawn(place: Place) -> None:
    promote(place, "m-v1")
    begin(place, "m-v2")
    pause(place.log, "ann")
    split = tell(place, alert())
    assert (split.stable, split.canary, split.pinned) == ("m-v1", None, True)


def test_what_a_person_undid_stays_as_they_left_it(place: Place) -> None:
    promote(place, "m-v1")
    promote(place, "m-v2")
    roll_back(place.log, place.adapters, "ann")
    with pytest.raises(NothingToDo, match="no canary"):
        tell(place, alert())
    assert current(place.log).stable == "m-v1"


@pytest.mark.parametrize(
    "more",
    [
        {"status": "resolved"},
        {"labels": {"alertname": "SpoolFilling"}},
        {"labels": {"thumbwheel_action": "page"}},
    ],
)
def test_only_what_fires_and_asks_for_it_is_heeded(more: dict[str, object]) -> None:
    assert not alert(**more).asks
    assert alert().asks
