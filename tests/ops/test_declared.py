"""What a release that says something else means."""

from datetime import UTC, datetime

import pytest

from ops.declared import Declared, Due, Release, due, shortened
from serving.split import Split

AT = datetime(2026, 11, 28, tzinfo=UTC)


# Every split that was in force, but for the last: what ops told of these is its own word.
MADE = [(1, "base"), (4, "m-v1"), (9, "m-v2"), (12, "m-v3")]


def serves(stable: str) -> list[Split]:
    return [
        Split(at=AT, revision=revision, stable=name, reason="it won", by="ops")
        for revision, name in [*MADE, (20, stable)]
    ]


def says(revision: int, stable: str, split: int = 0) -> Declared:
    return Declared(revision=revision, stable=stable, split=split)


def met(*told: tuple[int, str, int]) -> list[Release]:
    return [
        Release(at=AT, outcome="seen", revision=revision, stable=stable, split=split, reason="-")
        for revision, stable, split in told
    ]


TOLD = met((1, "base", 0), (2, "m-v1", 4), (3, "m-v2", 9))


@pytest.mark.parametrize(
    ("why", "declared", "before", "stable", "expected"),
    [
        ("installed", says(1, "base"), [], "base", Due.SEE),
        ("nothing new", says(3, "m-v2", 9), TOLD, "m-v2", Due.NOTHING),
        ("promoted since", says(3, "m-v2", 9), TOLD, "m-v3", Due.TELL),
        ("just told", says(4, "m-v3", 12), TOLD, "m-v3", Due.SEE),
        ("told, then rolled back by hand", says(4, "m-v3", 12), TOLD, "m-v2", Due.SEE),
        ("helm rollback", says(4, "m-v1", 4), TOLD, "m-v2", Due.OBEY),
        ("helm rollback to the install", says(4, "base"), TOLD, "m-v2", Due.OBEY),
        ("a value set by hand", says(4, "m-v1", 9), TOLD, "m-v2", Due.OBEY),
        ("and a newer number kept", says(4, "m-v1", 12), TOLD, "m-v3", Due.OBEY),
        ("another value changed", says(4, "m-v2", 9), TOLD, "m-v2", Due.SEE),
        ("and a promotion untold", says(4, "m-v2", 9), TOLD, "m-v3", Due.SEE),
        ("installed anew", says(1, "base"), TOLD, "m-v2", Due.SEE),
        ("installed anew, to go back", says(1, "m-v1"), TOLD, "m-v2", Due.OBEY),
        ("installed where others served", says(1, "base"), [], "m-v2", Due.SEE),
        ("installed with a first stable", says(1, "m-v2"), [], "base", Due.OBEY),
        ("a commit taken back", says(1, "m-v1", 4), met((1, "m-v2", 9)), "m-v2", Due.OBEY),
        ("the first commit taken back", says(1, "base"), met((1, "m-v1", 4)), "m-v1", Due.OBEY),
        ("a commit that came late", says(1, "m-v2", 9), met((1, "m-v1", 4)), "m-v3", Due.SEE),
        (
            "a roll-back that is rolled back",
            says(5, "m-v2", 9),
            [*TOLD, *met((4, "m-v1", 4))],
            "m-v1",
            Due.OBEY,
        ),
    ],
)
def test_what_a_release_asks_for(
    why: str, declared: Declared, before: list[Release], stable: str, expected: Due
) -> None:
    assert due(declared, before, serves(stable)) is expected


def test_a_map_of_the_chart_is_read() -> None:
    data = {"revision": "7", "stable": "m-v2", "split": "9"}
    assert Declared.read(data) == says(7, "m-v2", 9)


def test_a_map_that_somebody_spoilt_is_told_with_what_was_wrong() -> None:
    with pytest.raises(ValueError, match=r"the release says .*: revision: .*got 'seven'"):
        Declared.read({"revision": "seven", "stable": "base", "split": "0"})


def test_a_description_is_one_line_that_fits() -> None:
    assert shortened("a\n  b\x00\x1b[31m") == "a b [31m"
    assert len(shortened("word " * 200)) == 400
