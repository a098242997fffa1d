"""The window on a real database: bounded, and true to what was committed."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from feedback.answers import answer_of
from feedback.events import encode
from feedback.join import Said, Served
from feedback.log import Position
from feedback.window import GRACE, Window
from tests.feedback.made import SPAN, at, completion, said_at, thumb

NOW = at(365 * 86_400)
KEPT = (SPAN + GRACE).total_seconds()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Window]]:
    windows: list[Window] = []

    def open_one(max_bytes: int = 1_000_000, now: datetime = NOW, **more: int) -> Window:
        windows.append(
            Window(tmp_path / "window.db", span=SPAN, max_bytes=max_bytes, now=lambda: now, **more)
        )
        return windows[-1]

    yield open_one
    for window in windows:
        window.close()


def served(name: str, second: float = 0) -> Served:
    made = completion(name).model_copy(update={"at": at(second)})
    return Served(answer_of(made), encode(made))


def said(name: str, second: float = 0, offset: int = 0) -> Said:
    made = thumb(True, second, of=name)
    return said_at(offset, made)


def known(window: Window, name: str) -> bool:
    return bool(window.groups({name}, set())[name].answers)


def test_what_was_committed_is_known_to_who_opens_it_again(opened: Callable[..., Window]) -> None:
    opened().commit([served("a")], [said("a"), said("b", offset=1)], {"completions/0": 1})
    window = opened()
    group = window.groups({"a"}, {"a"})["a"]
    assert [*group.answers] == ["a"]
    assert [one.position for one in group.said] == [Position(0, 0)]
    assert window.position(["completions/0", "verdicts/0"]) == {"completions/0": 1, "verdicts/0": 0}
    assert window.counts() == {"completions": 1, "verdicts": 2}


def test_an_empty_window_holds_nothing(opened: Callable[..., Window]) -> None:
    assert opened().counts() == {"completions": 0, "verdicts": 0}
    assert opened().bytes() == 0


def test_only_what_was_judged_is_looked_up(opened: Callable[..., Window]) -> None:
    window = opened()
    window.commit([served("a"), served("b")], [said("early")], {})
    assert window.groups({"a"}, {"a", "b", "early"}).keys() == {"a", "early"}


def test_verdicts_on_long_answers_are_looked_up_in_parts(opened: Callable[..., Window]) -> None:
    one, two, three = served("a"), served("a.1"), served("b")
    opened().commit([one, two, three], [], {})
    size = len(three.raw)
    for groups, most, fit in (
        (["b", "a"], 10 * size, 2),
        (["b", "a"], 2 * size, 1),  # the request a has two
        (["a", "b"], size, 1),  # it is too much, and has to be taken all the same
        (["b", "b", "unknown"], size, 3),  # looked up once
        ([], size, 0),
    ):
        assert opened(max_bytes_at_once=most).fitting(groups) == fit


def test_what_is_too_old_goes_and_what_is_not_stays(opened: Callable[..., Window]) -> None:
    window = opened()
    window.commit([served("old")], [said("old")], {})
    window.commit([served("young", 1)], [], {})
    assert window.commit([], [said("x", KEPT, 1)], {}) == 0
    assert window.commit([], [said("x", KEPT + 0.5, 2)], {}) == 2
    assert not known(window, "old")
    assert known(window, "young")


def test_what_comes_late_from_a_spool_stays_as_long_as_others(
    opened: Callable[..., Window],
) -> None:
    window = opened()
    window.commit([served("now", KEPT)], [], {})
    window.commit([served("spooled", 0)], [], {})
    assert window.commit([], [said("x", KEPT + 10)], {}) == 0
    assert known(window, "spooled")


def test_one_record_from_the_future_does_not_empty_it(opened: Callable[..., Window]) -> None:
    window = opened(now=at(100))
    window.commit([served("a", 99)], [], {})
    window.commit([served("from 2099", 73 * 365 * 86_400)], [], {})
    assert window.commit([served("b", 100)], [], {}) == 0
    assert known(window, "a")


def test_what_is_too_much_goes_oldest_first_and_completions_before_verdicts(
    opened: Callable[..., Window],
) -> None:
    size = len(served("c00").raw)
    window = opened(max_bytes=5 * size)
    window.commit([], [said("early")], {})
    for i in range(20):
        window.commit([served(f"c{i:02}", i)], [], {})
        assert window.bytes() <= 5 * size
    assert known(window, "c19")
    assert not known(window, "c15")
    assert window.counts()["verdicts"] == 1
    assert window.bytes() == 4 * size + len(said("early").raw)


def test_a_repeated_record_takes_no_room(opened: Callable[..., Window]) -> None:
    window = opened()
    window.commit([served("a")], [said("a")], {})
    before = window.bytes()
    window.commit([served("a")], [said("a")], {})
    assert window.bytes() == before


def test_a_batch_of_any_size_is_kept_whole(opened: Callable[..., Window]) -> None:
    names = [f"c{number}" for number in range(2001)]
    window = opened(max_bytes=10_000_000)
    window.commit(
        [served(n) for n in names], [said(n, offset=at) for at, n in enumerate(names)], {}
    )
    assert window.counts() == {"completions": 2001, "verdicts": 2001}
    assert known(window, "c0") and known(window, "c2000")


def test_users_are_forgotten_for_ever(opened: Callable[..., Window]) -> None:
    opened().forget({"ann"}, {"forgets/0": 3})
    window = opened()
    assert window.forgotten == {"ann"}
    assert window.position(["forgets/0"]) == {"forgets/0": 3}


def test_a_commit_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "window.db"
    with closing(Window(path)) as window:
        window.commit([served("a")], [], {"completions/0": 1})
        with pytest.raises(AttributeError):
            window.commit([served("b")], [None], {"completions/0": 2})  # type: ignore[list-item]  # it fails there
        assert window.position(["completions/0"]) == {"completions/0": 1}
        assert not known(window, "b")
