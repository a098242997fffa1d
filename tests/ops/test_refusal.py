import pytest

from ops.refusal import USUAL, compiled, refuses

PATTERN = compiled(USUAL)


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't help with that.",
        "I\u2019m sorry, but I can\u2019t help with that.",
        "Sorry, I cannot do that.",
        "I am unable to assist with this request.",
        "  As an AI language model, I do not have opinions.",
        "Unfortunately, we are unable to",
        "I can't provide that information.",
    ],
)
def test_what_refuses(answer: str) -> None:
    assert refuses(answer, "stop", PATTERN)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Sure! I can't wait to help.",
        "You cannot divide by zero.",
        "I'm sorry for your loss. Here is what you can do: " + "x" * 300,
        "The error says: I'm sorry, but I can't help with that.",
        "I can help you with that.",
    ],
)
def test_what_does_not(answer: str) -> None:
    assert not refuses(answer, "stop", PATTERN)


def test_how_it_ended_tells_too() -> None:
    assert refuses("", "content_filter", PATTERN)


def test_other_languages_are_a_setting() -> None:
    assert refuses("Das kann ich leider nicht.", "stop", compiled("das kann ich leider nicht"))
