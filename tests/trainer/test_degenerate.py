import pytest

from trainer.degenerate import distance, mean_shares, repeated, says_nothing, scripts


@pytest.mark.parametrize(
    ("ids", "share"),
    [
        ((), 0.0),
        ((7, 7, 7), 0.0),  # too short for one
        ((1, 2, 3, 4, 5, 6), 0.0),
        ((1, 2, 3, 4, 1, 2, 3, 4), 1 / 5),  # of five 4-grams the last came before
        ((9,) * 13, 9 / 10),
    ],
)
def test_repetition_by_hand(ids: tuple[int, ...], share: float) -> None:
    assert repeated(ids) == pytest.approx(share)


@pytest.mark.parametrize(
    ("ids", "text", "nothing"),
    [
        ((), "", True),
        ((5, 5, 5), "ha ha ha", True),
        ((5, 5), "no no", False),
        ((5,), "Yes", False),
        ((5, 6), " \n\t", True),
        ((5, 6), None, False),  # nobody can read it
        ((), None, True),
    ],
)
def test_what_says_nothing(ids: tuple[int, ...], text: str | None, nothing: bool) -> None:
    assert says_nothing(ids, text) == nothing


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("Ja, gern!", {"LATIN": 1.0}),
        ("да ok", {"CYRILLIC": 0.5, "LATIN": 0.5}),
        ("水です", {"CJK": 1.0}),
        ("한", {"HANGUL": 1.0}),
        ("\uff21", {"LATIN": 1.0}),  # a full-width A
        ("42 + 1 = 43 🙂", {}),
        ("", {}),
    ],
)
def test_scripts_by_hand(text: str, shares: dict[str, float]) -> None:
    assert scripts(text) == pytest.approx(shares)


def test_every_answer_counts_the_same_in_the_mean() -> None:
    assert mean_shares([scripts("a" * 100), scripts("д")]) == {"CYRILLIC": 0.5, "LATIN": 0.5}


def test_an_answer_without_letters_is_of_no_script() -> None:
    assert mean_shares([scripts("It is 42"), scripts("42")]) == {"LATIN": 1.0}


def test_the_distance_is_the_share_that_would_have_to_move() -> None:
    assert distance({"LATIN": 1.0}, {"LATIN": 0.7, "CJK": 0.3}) == pytest.approx(0.3)
    assert distance({"LATIN": 1.0}, {"CJK": 1.0}) == 1
    assert distance({"LATIN": 1.0}, {"LATIN": 1.0}) == 0
