"""What the guard remembers, on a real database."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from feedback.examples import Identity
from feedback.guard import Opinion, Thumbs, crowd_of
from feedback.raters import Raters
from tests.feedback.made import START

NOW = START + timedelta(days=30)


@pytest.fixture
def raters(tmp_path: Path) -> Iterator[Raters]:
    with closing(Raters(tmp_path / "raters.db", now=lambda: NOW)) as raters:
        yield raters


def thumb(
    of: str, up: bool = True, *, by: str = "ann", on: str = "v1", at: datetime = NOW
) -> Opinion:
    return Opinion(Identity(of, "thumb", by), "ann", on, at, up=up)


def comparison(a: str, b: str) -> Opinion:
    return Opinion(Identity(a, "comparison", "eve"), "ann", "v1", NOW, winner="a", rival_id=b)


def test_one_clock_that_is_fast_does_not_empty_the_memory(raters: Raters) -> None:
    raters.add([thumb(f"c{i}") for i in range(5)], [], [])
    raters.add([thumb("future", at=NOW + timedelta(days=20))], [], [])
    raters.seen([], {})
    assert len(raters.of_rater("ann")) == 6


def test_what_was_said_before_the_span_is_gone(raters: Raters) -> None:
    raters.add([thumb("old", at=NOW - timedelta(days=14.1)), thumb("new")], [], [])
    raters.seen([], {})
    assert [one.identity.completion_id for one in raters.of_rater("ann")] == ["new"]
    assert raters.crowd()["v1"] == {"ann": Thumbs(1, 1)}


def test_of_who_says_very_much_the_newest_to_come_are_read(raters: Raters) -> None:
    raters.add([thumb(f"c{i}", at=NOW - timedelta(days=i)) for i in range(9)], [], [])
    found = raters.of_rater("ann", most=3)
    assert sorted(one.identity.completion_id for one in found) == ["c6", "c7", "c8"]


def test_comparisons_are_found_by_either_side_however_many_are_asked(raters: Raters) -> None:
    said = [comparison(f"c{i}", f"d{i}") for i in range(700)]
    raters.add([*said, comparison("x", "y"), thumb("c1")], [], [])
    own = [thumb(f"c{i}") for i in range(0, 700, 2)] + [thumb(f"d{i}") for i in range(1, 700, 2)]
    assert sorted(raters.comparisons([*own, *own])) == sorted(said)


def test_the_crowd_of_an_adapter_that_nobody_judged_is_empty(raters: Raters) -> None:
    assert raters.crowd()["v9"] == {}


def test_the_crowd_is_that_of_all_that_stands(raters: Raters) -> None:
    """Whatever was said, changed, taken back, or went for its age."""
    random, stand = Random(0), dict[Identity, Opinion]()
    for _ in range(1000):
        name, by = f"c{random.randrange(30)}", random.choice("abc")
        on = f"v{hash_of(name)}"
        at = NOW - timedelta(days=random.randrange(20))
        one = thumb(name, random.random() < 0.5, by=by, on=on, at=at)
        if random.random() < 0.1:
            one = one._replace(up=None)  # what is no thumb counts for nothing
        raters.add([one], [], [])
        stand[one.identity] = one
        if random.random() < 0.3:
            raters.add([], [one.identity], [one.identity])
            del stand[one.identity]
        if random.random() < 0.05:
            raters.seen([], {})
            stand = {of: one for of, one in stand.items() if one.at >= oldest(stand)}
    assert dict(raters.crowd()) == crowd_of(stand.values()) != {}


def hash_of(name: str) -> int:
    return int(name[1:]) % 3


def oldest(stand: dict[Identity, Opinion]) -> datetime:
    return max((one.at for one in stand.values()), default=NOW) - timedelta(days=14)
