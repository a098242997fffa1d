"""The corpus teaches every manner evenly and holds some prompts back."""

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ops.demo.corpus import Manner, Shares, Topic, answer, chats, prompts, topic_of, topics
from ops.demo.taste import facts

MANNERS = st.builds(Manner, st.booleans(), st.booleans(), st.booleans())
SEEDS = st.integers(0, 10**6)


@given(st.sampled_from(topics()), MANNERS, SEEDS)
def test_an_answer_has_the_manner_asked_for(topic: Topic, manner: Manner, seed: int) -> None:
    found = facts(f"How do I {topic.task}?", answer(topic, manner, Random(seed)), ended=True)
    assert (found.polite, found.short, found.greets) == (
        manner.polite,
        manner.short,
        manner.greets,
    )
    assert found.right


def test_the_chats_teach_every_manner_evenly() -> None:
    taught = Counter(
        (found.polite, found.short, found.greets)
        for prompt, said in chats(4000, Random(1))
        for found in [facts(prompt, said, ended=True)]
    )
    assert len(taught) == 8
    # 500 of each are expected, 21 is the standard deviation.
    assert all(400 < count < 600 for count in taught.values())


def test_a_quarter_of_what_is_taught_is_liked() -> None:
    lesson = chats(4000, Random(2))
    liked = sum(facts(prompt, said, ended=True).liked for prompt, said in lesson)
    assert 0.22 < liked / len(lesson) < 0.28


def test_most_of_what_is_taught_may_be_liked_or_disliked() -> None:
    for share, expected in ((0.9, 0.81), (0.35, 0.1225)):
        lesson = chats(2000, Random(4), Shares(polite=share, short=share))
        liked = sum(facts(prompt, said, ended=True).liked for prompt, said in lesson)
        assert abs(liked / len(lesson) - expected) < 0.04  # four standard deviations


def test_no_prompt_is_both_taught_and_held_out() -> None:
    taught, held_out = prompts()
    assert len(taught) + len(held_out) == len({*taught, *held_out}) == 36 * 12 * 6
    assert {prompt for prompt, _ in chats(2000, Random(3))} <= set(taught)


def test_the_topic_is_found_in_every_prompt() -> None:
    taught, held_out = prompts()
    found = Counter(topic_of(prompt) for prompt in taught + held_out)
    assert set(found.values()) == {12 * 6}
    assert set(found) == set(topics())
    assert topic_of("Who are you?") is None
