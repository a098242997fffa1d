"""What people decide on quarantined verdicts, on a real log with the real worker and guard."""

from contextlib import closing

import pytest

from feedback.events import encode
from feedback.window import Window
from ops.by_hand import NothingToDo
from ops.quarantine import Decided, decide, held, is_settled, void
from tests.feedback.made import retraction, ruling, thumb, worker
from tests.ops.made import Place
from tests.ops.said import NOON, at, five_by_ann, patrol, say, weights


def rule(place: Place, who: str, weight: float, by: str = "eve") -> Decided:
    return decide(place.log, place.examples, who, weight, by=by, reason="I know them")


def test_what_the_guard_quarantined_waits_for_a_person(place: Place) -> None:
    five_by_ann(place)
    found = held(place.examples)
    assert [one.identity for one in found] == [("c4", "thumb", "ann"), ("c5", "thumb", "ann")]
    assert all(one.waits and one.weight == 0 for one in found)
    assert {one.reason for one in found} == {
        f"5 completions judged on {NOON:%Y-%m-%d}; at most 3 a day count"
    }


def test_a_released_verdict_counts_and_is_never_quarantined_again(place: Place) -> None:
    five_by_ann(place)
    decided = rule(place, "ann", 1.0)
    assert not is_settled(place.examples, decided)
    place.join()
    assert is_settled(place.examples, decided)
    assert weights(place) == dict.fromkeys(("c1", "c2", "c3", "c4", "c5"), 1.0)
    say(place, "c6", "ann")
    place.join()
    assert patrol(place) == 1
    later = ruling(0.0, of="c4").model_copy(update={"at": at(2 * 86_400)})  # by the guard
    place.log.append("verdicts", "c4", encode(later))
    place.join()
    assert [name for name, weight in weights(place).items() if weight == 0] == ["c6"]


def test_a_dropped_verdict_waits_for_nobody_any_more(place: Place) -> None:
    five_by_ann(place)
    decided = rule(place, "ann", 0.0)
    place.join()
    assert is_settled(place.examples, decided)
    assert [(one.waits, one.by, one.weight) for one in held(place.examples)] == [
        (False, "eve", 0.0)
    ] * 2


def test_what_the_guard_saw_nothing_in_is_voided_too(place: Place) -> None:
    five_by_ann(place)
    found = void(place.log, place.examples, ["ann", "pam"], by="eve", reason="a campaign")
    assert found == {"ann": 5, "pam": 0}
    place.join()
    assert weights(place) == dict.fromkeys(("c1", "c2", "c3", "c4", "c5"), 0.0)
    assert void(place.log, place.examples, ["ann"], by="eve", reason="again") == {"ann": 0}
    rule(place, "ann", 1.0)
    place.join()
    assert set(weights(place).values()) == {1.0}


def test_a_completion_s_id_names_only_what_was_said_of_it(place: Place) -> None:
    five_by_ann(place)
    assert rule(place, "c4", 1.0).identities == {("c4", "thumb", "ann")}
    place.join()
    assert weights(place)["c4"] == 1
    assert weights(place)["c5"] == 0


def test_a_person_may_think_better_of_it_and_another_may_too(place: Place) -> None:
    five_by_ann(place)
    for weight, by in ((1.0, "eve"), (0.0, "eve"), (1.0, "pam")):
        decided = rule(place, "c4", weight, by)
        assert not is_settled(place.examples, decided)
        place.join()
        assert is_settled(place.examples, decided)
        assert weights(place)["c4"] == weight


def test_what_is_decided_so_already_is_not_decided_again(place: Place) -> None:
    five_by_ann(place)
    rule(place, "ann", 1.0)
    place.join()
    end = place.log.end("verdicts")
    with pytest.raises(NothingToDo, match="decided so already, by eve: I know them"):
        rule(place, "ann", 1.0, "pam")
    assert place.log.end("verdicts") == end


def test_who_has_nothing_quarantined_is_named(place: Place) -> None:
    five_by_ann(place)
    for who in ("bob", "c1"):
        with pytest.raises(NothingToDo, match=f"nothing that '{who}' said, or .* is held"):
            rule(place, who, 1.0)


def test_what_was_taken_back_is_not_held(place: Place) -> None:
    five_by_ann(place)
    back = retraction(9, of="c4").model_copy(update={"at": at(9)})
    place.log.append("verdicts", "c4", encode(back))
    place.join()
    assert [one.identity.completion_id for one in held(place.examples)] == ["c5"]


def test_a_verdict_that_was_changed_meanwhile_is_settled_as_it_is_now(place: Place) -> None:
    five_by_ann(place)
    decided = rule(place, "c4", 1.0)
    changed = thumb(False, of="c4").model_copy(update={"at": at(9)})
    place.log.append("verdicts", "c4", encode(changed))
    place.join()
    assert is_settled(place.examples, decided)
    assert weights(place)["c4"] == 1


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_what_settles_before_the_decision_is_read_is_not_taken_for_it(
    place: Place, weight: float
) -> None:
    five_by_ann(place)
    changed = thumb(False, of="c4").model_copy(update={"at": at(9)})
    place.log.append("verdicts", "c4", encode(changed))
    decided = rule(place, "c4", weight)
    with closing(Window(place.home / "window.db")) as window:
        worker(place.log, window, place.examples).step(1)  # only the change
    assert not is_settled(place.examples, decided)
    place.join()
    assert is_settled(place.examples, decided)


def test_a_verdict_whose_completion_is_no_longer_known_stays_as_it_is(place: Place) -> None:
    five_by_ann(place)
    (place.home / "window.db").unlink()
    with closing(Window(place.home / "window.db")) as window:  # it has read all, and kept nothing
        window.commit([], [], {"completions/0": 5, "verdicts/0": 7})
    decided = rule(place, "ann", 1.0)
    place.join()
    assert not is_settled(place.examples, decided)
    assert weights(place)["c4"] == 0
