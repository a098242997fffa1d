"""What is counted of a trial, from a real log and the real worker's examples."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.events import BASE, NOT_LOADED, Completion, Event, Score, encode, group_of
from ops import history
from ops.act import change_split, first_split
from ops.by_hand import current
from ops.decide import Start, Trial
from ops.diary import Diary
from ops.ledger import Ledger
from ops.observe import Observer
from ops.refusal import USUAL, compiled
from ops.seen import Newcomers, Observation, Queried
from ops.trial import Rollout, rollout
from tests.feedback.made import comparison, completion, outcome, retraction, ruling, thumb
from tests.ops.made import Place
from tests.ops.moved import begin

CANARY = "m-v1"


@pytest.fixture
def trial(place: Place) -> Iterator[Rollout]:
    begin(place, CANARY)
    now = rollout(history.splits(place.log))
    assert now
    yield now


def observer(place: Place) -> Observer:
    outcomes = ("outcome:resolved", "outcome:stars")
    return Observer(place.log, place.examples, compiled(USUAL), outcomes)


def look(place: Place, trial: Rollout) -> Observation:
    return observer(place).look(trial)


def put(place: Place, *events: Event) -> None:
    for event in events:
        if isinstance(event, Completion):
            place.log.append("completions", group_of(event.id), encode(event))
        else:
            group = group_of(event.model_dump()["completion_id"])
            place.log.append("verdicts", group, encode(event))
    place.join()


def served(name: str, adapter: str = CANARY, **more: object) -> Completion:
    made = completion(name, user=f"user of {name}", adapter=adapter)
    return made.model_copy(update={"split_revision": 2} | more)


def test_what_each_arm_served_and_how(place: Place, trial: Rollout) -> None:
    put(
        place,
        served("c1", answer_tokens=50),
        served("c2", error="the engine broke off"),
        served("c3", error=f"{NOT_LOADED}: no such adapter"),
        served("c4", error="client closed"),
        served("c5", answer="I'm sorry, but I can't help with that."),
        served("c6", BASE),
        served("c7", BASE, split_revision=1),  # before the trial
        served("c8", split_revision=None),  # asked for by name
    )
    seen = look(place, trial)
    step = seen.canary.step
    assert (seen.canary.completions, seen.stable.completions) == (5, 1)
    assert (step.completions, step.error.n, step.error.total, step.not_loaded) == (5, 5, 2, 1)
    assert (step.refusal.n, step.refusal.total) == (2, 1)
    assert (step.length.n, step.waits.n) == (2, 2)


def test_whose_requests_all_fail_is_one_user(place: Place, trial: Rollout) -> None:
    put(place, *(served(f"c{at}", user="ann", error="broken") for at in range(5)))
    error = look(place, trial).canary.step.error
    assert (error.users, error.n, error.total, error.tt) == (1, 5, 5, 25)


def test_slow_is_what_takes_longer_than_usual_as_it_was_known_then(
    place: Place, trial: Rollout
) -> None:
    usual = [served(f"s{at}", BASE, total_seconds=1.0) for at in range(30)]
    put(
        place,
        served("c1", total_seconds=9.0),  # nothing is usual yet
        *usual,
        served("c2", total_seconds=1.4),
        served("c3", total_seconds=1.7),
    )
    seen = look(place, trial)
    assert (seen.canary.step.slow.n, seen.canary.step.slow.total) == (2, 1)
    assert (seen.stable.step.slow.n, seen.stable.step.slow.total) == (10, 0)


def test_what_is_twice_on_the_log_counts_once(place: Place, trial: Rollout) -> None:
    put(place, served("c1"), served("c1"))
    assert look(place, trial).canary.completions == 1


def test_what_a_full_disk_left_half_counted_is_counted_again(
    place: Place, trial: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = observer(place)
    put(place, served("c1"), served("c2"), thumb(True, of="c1"))
    with monkeypatch.context() as full:
        full.setattr(Ledger, "say", _no_room)
        with pytest.raises(sqlite3.OperationalError):
            one.look(trial)
    seen = one.look(trial)
    assert (seen.canary.completions, seen.canary.rated.n) == (2, 1)


def _no_room(*_: object) -> None:
    raise sqlite3.OperationalError("database or disk is full")


def test_users_are_counted_where_they_were_seen_first(place: Place, trial: Rollout) -> None:
    put(
        place,
        served("c1", user="ann"),
        served("c2", user="ann"),
        served("c3", BASE, user="ben"),
        served("c4", BASE, user="cleo"),
    )
    assert look(place, trial).newcomers == [Newcomers(0.1, 1, 2)]


def test_thumbs_are_counted_by_user_and_a_changed_one_once(place: Place, trial: Rollout) -> None:
    put(
        place,
        served("c1", user="ann"),
        served("c2", user="ann"),
        served("c3", BASE, user="ben"),
        thumb(False, of="c1"),
        thumb(True, of="c2"),
        thumb(True, of="c3"),
    )
    one = observer(place)
    rated = one.look(trial).canary.rated
    assert (rated.users, rated.n, rated.total, rated.nn, rated.tt) == (1, 2, 1, 4, 1)
    put(place, thumb(True, 2, of="c1"))
    rated = one.look(trial).canary.rated
    assert (rated.users, rated.n, rated.total, rated.tt) == (1, 2, 2, 4)
    put(place, retraction(3, of="c1"))
    put(place, ruling(0.0, 4, of="c2", rater="ann"))
    assert one.look(trial).canary.rated.n == 0
    assert one.look(trial).stable.rated.n == 1


def test_outcomes_are_counted_by_name(place: Place, trial: Rollout) -> None:
    put(place, served("c1"), served("c2", BASE))
    put(place, outcome("resolved", 1.0, of="c1"), outcome("stars", 4.5, of="c1"))
    put(place, outcome("nobody-asked", 1.0, of="c1"))
    put(place, outcome("resolved", 0.0, of="c2"))
    seen = look(place, trial)
    (pair,) = seen.outcomes("resolved")
    assert (pair.canary.total, pair.stable.total) == (1.0, 0.0)
    assert seen.outcomes("stars") == []  # of one arm alone
    assert seen.canary.outcomes["stars"][2].total == 4.5
    assert seen.canary.outcomes.keys() == {"resolved", "stars"}


@pytest.mark.parametrize(
    ("shown", "winner", "value"),
    [("a", "a", 1.0), ("a", "b", 0.0), ("b", "b", 1.0), ("b", "a", 0.0), ("b", "tie", 0.5)],
)
def test_comparisons_are_counted_by_where_the_canary_was_shown(
    place: Place, trial: Rollout, shown: str, winner: str, value: float
) -> None:
    first, second = (CANARY, BASE) if shown == "a" else (BASE, CANARY)
    both = (served("c1", first, split_revision=None), served("c1.1", second, split_revision=None))
    put(place, *both, comparison("c1", "c1.1", winner))
    (found,) = look(place, trial).wins.items()
    assert (found[0], found[1].n, found[1].total) == (shown, 1, value)


def test_two_samples_of_one_adapter_say_nothing_of_it(place: Place, trial: Rollout) -> None:
    put(place, served("c1", BASE), served("c1.1", BASE), comparison("c1", "c1.1"))
    assert not look(place, trial).wins


def test_a_step_begins_anew_and_the_trial_goes_on(place: Place, trial: Rollout) -> None:
    one = observer(place)
    put(place, served("c1", error="broken"), thumb(True, of="c1"))
    assert one.look(trial).canary.step.error.total == 1
    change_split(place.log, current(place.log), "so far", "ops", share_percent=50.0)
    put(place, served("c2", split_revision=3), thumb(True, of="c2"))
    stepped = rollout(history.splits(place.log))
    assert stepped
    for seen in (one.look(stepped), look(place, stepped)):
        assert (seen.canary.completions, seen.canary.rated.n) == (2, 2)
        assert (seen.canary.step.completions, seen.canary.step.error.total) == (1, 0)
        assert [one.share for one in seen.newcomers] == [0.1, 0.5]


def test_only_what_came_since_the_trial_began_is_read(place: Place) -> None:
    put(place, *(served(f"c{at}", BASE, split_revision=1) for at in range(5)))
    split = first_split(place.log)
    waits = Trial(split, CANARY, seconds=0.0, step_seconds=0.0)
    Diary(place.log, "ops").write(waits, Start("so", CANARY, 10.0), {})
    begin(place, CANARY)
    put(place, served("c9"), thumb(True, of="c9"))
    now = rollout(history.splits(place.log))
    assert now
    read = list[int]()

    class Counting:
        def end(self, topic: str) -> dict[int, int]:
            return place.log.end(topic)

        def read(self, topic: str, partition: int, start: int, limit: int = 1000) -> object:
            found = place.log.read(topic, partition, start, limit)
            read.append(len(found) if topic == "completions" else 0)
            return found

    log: Any = Counting()  # the part of a log that an observer needs
    seen = Observer(log, place.examples, compiled(USUAL)).look(now)
    assert (seen.canary.completions, seen.canary.rated.n, sum(read)) == (1, 1, 1)


def test_what_prometheus_says_is_passed_on(place: Place, trial: Rollout) -> None:
    told = [Queried("p99", 1.0, 2.0)]
    one = Observer(place.log, place.examples, compiled(USUAL), queried=lambda _: told)
    assert one.look(trial).queried == told


@settings(max_examples=20, deadline=timedelta(seconds=5))
@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=12), st.integers(0, 12))
def test_who_looks_often_sees_what_who_looks_once_does(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[int, bool]], cut: int
) -> None:
    place = Place(tmp_path_factory.mktemp("place"))
    begin(place, CANARY)
    now = rollout(history.splits(place.log))
    assert now
    put(place, *(served(f"c{one}", user=f"user {one % 2}") for one in range(1, 5)))
    often = observer(place)
    for second, (of, up) in enumerate(said):
        put(place, thumb(up, second + 1, of=f"c{of}"))
        if second >= cut:
            often.look(now)
    assert often.look(now).canary.rated == look(place, now).canary.rated
    place.log.close()


def test_a_comparison_is_no_thumb(place: Place, trial: Rollout) -> None:
    both = (served("c1"), served("c1.1", BASE))
    put(place, *both, comparison("c1", "c1.1"), thumb(True, 2, of="c1"))
    seen = look(place, trial)
    assert (seen.canary.rated.n, sum(one.n for one in seen.wins.values())) == (1, 1)


def test_how_far_the_canary_is_comes_from_the_scores_on_the_log(
    place: Place, trial: Rollout
) -> None:
    watching = observer(place)
    assert watching.look(trial).drifts == {}
    now = datetime.now(UTC)
    for second in range(20):
        score = Score(
            at=now - timedelta(seconds=second + 30),
            completion_id=f"c{second}",
            adapter=CANARY,
            stable=trial.first.stable,
            tokens=5,
            served=-3.0,
            under_stable=-4.0,
            under_base=-6.0,
            faithful=True,
        )
        place.log.append("scores", score.completion_id, encode(score))
    seen = watching.look(trial)
    assert {to: drift.estimate for to, drift in seen.drifts.items()} == {"stable": 1, "base": 3}
    assert seen.score_seconds == pytest.approx(30, abs=5)
