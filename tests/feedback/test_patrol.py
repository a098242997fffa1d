"""The guard on a real log, a real folder and a real database."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from feedback import examples
from feedback.events import VERDICT_KINDS, Ruling, Thumb, decode, encode
from feedback.examples import Example
from feedback.guard import Rules
from feedback.log import Log, open_log, read_all
from feedback.patrol import FILES, ROWS, TICK_SECONDS, Patrol
from feedback.raters import Raters
from feedback.window import Window
from tests.feedback.made import at, completion, retraction, ruling, thumb, worker

RULES = Rules(a_day=3, in_a_burst=1000)


def puppet(n: int) -> Thumb:
    return thumb(False, 5, of="c1", user=f"puppet{n}", key=f"k{n}")


class Place:
    def __init__(self, home: Path, log: Log) -> None:
        self.home, self.log, self.examples = home, log, home / "examples"

    def say(self, *numbers: int, user: str = "ann", up: bool = True) -> None:
        for n in numbers:
            served = completion(f"c{n}", user=user).model_copy(update={"at": at(n)})
            self.log.append("completions", f"c{n}", encode(served))
            self.log.append("verdicts", f"c{n}", encode(thumb(up, n + 1, of=f"c{n}")))
        self.join()

    def join(self) -> None:
        with closing(Window(self.home / "window.db")) as window:
            works = worker(self.log, window, self.examples)
            while works.step():
                pass

    def patrol(self, rules: Rules = RULES) -> int:
        """As a process does that has just come up."""
        with closing(Raters(self.home / "raters.db")) as raters:
            found = Patrol(self.log, self.examples, raters, rules, now=lambda: at(50)).step()
        self.join()
        return found

    def quarantined(self) -> set[str]:
        return {row.completion_id for row in self.rows() if row.weight == 0}

    def rows(self) -> list[Example]:
        return examples.read(self.examples).examples

    def rulings(self) -> list[Ruling]:
        found = [decode(r.value, VERDICT_KINDS) for r in read_all(self.log, "verdicts")]
        return [event for event in found if isinstance(event, Ruling)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with closing(open_log(f"sqlite:///{tmp_path}/log.db")) as log:
        yield Place(tmp_path, log)


def test_what_is_over_the_cap_is_quarantined_with_its_reason(place: Place) -> None:
    place.say(1, 2, 3)
    assert place.patrol() == 0
    place.say(4, 5)
    assert place.patrol() == 2
    assert place.quarantined() == {"c4", "c5"}
    assert {row.ruling for row in place.rows() if row.weight == 0} == {
        "guard: 5 completions judged on 2026-01-01; at most 3 a day count"
    }


def test_each_verdict_is_ruled_on_once(place: Place) -> None:
    place.say(1, 2, 3, 4)
    assert [place.patrol(), place.patrol(), place.patrol()] == [1, 0, 0]
    place.say(5)
    assert place.patrol() == 1
    assert len(place.rulings()) == 2


def test_a_crash_before_the_position_is_kept_rules_again_to_the_same(place: Place) -> None:
    class Dying(Raters):
        def seen(self, suspicions: object, end: object) -> None:
            raise KeyboardInterrupt

    place.say(1, 2, 3, 4)
    with closing(Dying(place.home / "raters.db")) as dying, pytest.raises(KeyboardInterrupt):
        Patrol(place.log, place.examples, dying, RULES, now=lambda: at(50)).step()
    place.join()
    assert place.quarantined() == {"c4"}
    place.patrol()
    assert place.quarantined() == {"c4"}
    assert place.patrol() == 0


def test_what_a_person_released_is_not_quarantined_again(place: Place) -> None:
    place.say(1, 2, 3, 4)
    place.patrol()
    place.log.append("verdicts", "c4", encode(ruling(1.0, 99, of="c4", by="eve")))
    place.join()
    place.say(5)
    place.patrol()
    assert place.quarantined() == {"c5"}


def test_what_was_taken_back_is_not_held_against_a_rater(place: Place) -> None:
    place.say(1, 2, 3)
    place.patrol()
    place.log.append("verdicts", "c1", encode(retraction(10, of="c1")))
    place.join()
    place.say(4)
    assert place.patrol() == 0


def test_outsiders_on_one_completion_are_found_and_the_asker_stays(place: Place) -> None:
    place.say(1)
    for n in range(4):
        place.log.append("verdicts", "c1", encode(puppet(n)))
    place.join()
    assert place.patrol() == 4
    assert {row.rater for row in place.rows() if row.weight > 0} == {"ann"}


def test_what_is_old_is_not_counted_any_more(place: Place) -> None:
    place.say(1, 2, 3)
    place.patrol()
    place.say(10 + 20 * 86_400, user="bob")  # twenty days later, somebody else
    place.patrol()
    with closing(Raters(place.home / "raters.db")) as raters:
        assert raters.of_rater("ann") == []
        assert len(raters.of_rater("bob")) == 1


def test_of_a_great_many_files_each_step_takes_some_and_none_is_lost(place: Place) -> None:
    for n in range(FILES + 7):
        place.say(n)
    with closing(Raters(place.home / "raters.db")) as raters:
        patrol = Patrol(place.log, place.examples, raters, RULES, now=lambda: at(999))
        assert (patrol.step(), patrol.behind) == (FILES - RULES.a_day, True)
        assert (patrol.step(), patrol.behind) == (7, False)
        assert len(raters.of_rater("ann")) == FILES + 7


def test_a_file_that_is_removed_while_it_waits_is_passed_over(place: Place) -> None:
    for n in range(FILES + 2):
        place.say(n)
    with closing(Raters(place.home / "raters.db")) as raters:
        patrol = Patrol(place.log, place.examples, raters, RULES, now=lambda: at(999))
        patrol.step()
        examples.batches(place.examples)[-1].path.unlink()
        assert (patrol.step(), patrol.behind) == (1, False)
        assert raters.position()["verdicts/0"] == FILES + 2


@pytest.mark.integration
def test_a_step_ends_after_some_rows(place: Place) -> None:
    for first in range(0, 3 * ROWS, ROWS):
        place.say(*range(first, first + ROWS))
    with closing(Raters(place.home / "raters.db")) as raters:
        patrol = Patrol(place.log, place.examples, raters, RULES, now=lambda: at(9999))
        steps = [(patrol.step(), patrol.behind) for _ in range(4)]
    assert steps == [(ROWS - 3, True), (ROWS, True), (ROWS, False), (0, False)]


def test_a_folder_is_listed_until_no_file_can_be_of_the_same_tick(place: Place) -> None:
    """The folder's time is set back after each file, as by a clock that does not move."""
    seconds = [0.0]
    with closing(Raters(place.home / "raters.db")) as raters:
        patrol = Patrol(place.log, place.examples, raters, RULES, clock=lambda: seconds[0])
        known = []
        for n, at_second in enumerate([0.0, TICK_SECONDS, TICK_SECONDS + 1, TICK_SECONDS + 2]):
            place.say(n)
            os.utime(place.examples, (1, 1))
            seconds[0] = at_second
            patrol.step()
            known.append(len(raters.of_rater("ann")))
        assert known == [1, 2, 3, 3]  # the last is not looked for
        os.utime(place.examples, (2, 2))
        patrol.step()
        assert len(raters.of_rater("ann")) == 4
