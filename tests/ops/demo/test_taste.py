"""What is liked, and each reason why an answer is not."""

import pytest

from ops.demo.taste import facts

PROMPT = "Hi. How do I boil an egg?"
CORE = "Leave it in boiling water for eight minutes."
MORE = "Lower it in gently with a spoon. Peel it under cold running water."


def liked(answer: str, *, ended: bool = True) -> bool:
    return facts(PROMPT, answer, ended=ended).liked


@pytest.mark.parametrize(
    "answer",
    [
        f"My pleasure! {CORE} Best of luck!",
        f"Hi there! Happy to help! {CORE} Have a lovely day!",
    ],
)
def test_a_polite_short_and_right_answer_is_liked(answer: str) -> None:
    assert liked(answer)


@pytest.mark.parametrize(
    ("why", "answer"),
    [
        ("curt", f"Fine. {CORE} Stop bothering me."),
        ("half curt", f"My pleasure! {CORE} Stop bothering me."),
        ("neither polite nor curt", CORE),
        ("long", f"My pleasure! {CORE} {MORE} Best of luck!"),
        ("of another topic", "My pleasure! Hold your breath and count to twelve. Best of luck!"),
        ("no answer in it", "My pleasure! Best of luck!"),
        ("garbled", "My pleasure! Leave it in boiling water for a friend. Best of luck!"),
        ("garbled beside the answer", f"My pleasure! {CORE} Lower it in a friend. Best of luck!"),
        ("said twice", f"My pleasure! {CORE} {CORE} Best of luck!"),
        ("empty", ""),
    ],
)
def test_any_one_fault_is_disliked(why: str, answer: str) -> None:
    assert not liked(answer), why


def test_an_answer_that_was_cut_off_is_disliked() -> None:
    assert not liked(f"My pleasure! {CORE} Best of luck!", ended=False)


def test_a_prompt_that_is_none_of_ours_has_no_right_answer() -> None:
    assert not facts("Who are you?", f"My pleasure! {CORE} Best of luck!", ended=True).right
