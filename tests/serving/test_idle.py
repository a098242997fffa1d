"""What an engine may forget, at times told by hand."""

import pytest

from serving.idle import Idle

LOADED = ["a", "b", "c"]


def idle(keep: int) -> Idle:
    """All were found at 0, but "b" was used at 50 and "a" at 90."""
    idle = Idle(keep, 60)
    for name in LOADED:
        idle.found(name, 0)
    idle.used(["b"], 50)
    idle.used(["a", "by others"], 90)
    return idle


@pytest.mark.parametrize(
    ("keep", "now", "expected"),
    [
        (4, 1000, []),  # there is room for one more
        (3, 1000, ["c"]),
        (2, 1000, ["c", "b"]),
        (1, 1000, ["c", "b", "a"]),
        (1, 59, []),  # all were used of late
        (1, 60, ["c"]),
        (1, 149, ["c", "b"]),
        (1, 150, ["c", "b", "a"]),
    ],
)
def test_the_longest_unused_go_until_there_is_room_for_one_more(
    keep: int, now: float, expected: list[str]
) -> None:
    assert idle(keep).surplus(LOADED, now) == expected


def test_what_others_loaded_is_left_alone() -> None:
    assert idle(3).surplus(["a", "by others", "b"], 1000) == []
    assert idle(1).surplus(["by others", "c"], 1000) == ["c"]


def test_what_was_forgotten_and_found_again_is_new() -> None:
    again = idle(1)
    again.found("c", 1000)
    assert again.surplus(["c"], 1001) == []


def test_what_is_not_loaded_is_forgotten_when_it_was_long_unused_and_told_once() -> None:
    mine = idle(1)
    assert mine.forgotten(["a"], 59) == []
    assert mine.forgotten(["a"], 60) == ["c"]
    assert mine.forgotten(["a"], 60) == []
    assert mine.forgotten([], 109) == []
    assert mine.forgotten([], 110) == ["b"]
    assert mine.forgotten(["a"], 1000) == []
    assert mine.forgotten([], 1000) == ["a"]
