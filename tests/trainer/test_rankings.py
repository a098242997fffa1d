from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.events import BASE
from feedback.examples import Example
from tests.trainer.test_pairs import FREE, HELD, comparison, correction, letters, thumb
from tests.trainer.tiny import PLAN, example
from trainer.items import Items
from trainer.plan import Plan
from trainer.rankings import Ranking, make_rankings, shortage_of_rankings
from trainer.reserved import is_held_out

EVERYBODY = PLAN.model_copy(update={"holdout_percent": 0.0})


def rankings(
    fresh: Sequence[Example], older: Sequence[Example] = (), plan: Plan = EVERYBODY
) -> Items[Ranking]:
    return make_rankings(list(fresh), list(older), parent=BASE, plan=plan, tokenize=letters)


def versus(number: int, one: int, two: int, winner: str = "a", **changes: object) -> Example:
    """Answers that are one token and the end."""
    ids = {"answer_ids": [one, 1], "logprobs": [-1.0, -2.0], "rival_answer_ids": [two, 1]}
    return comparison(number, winner, **ids | changes)


def heights(ranking: Ranking) -> dict[int, float]:
    return {side.text.answer_ids[0]: side.reward or 0.0 for side in ranking.answers}


def test_a_correction_a_like_and_a_winner_each_stand_above_the_other() -> None:
    (one,) = rankings([correction(0, "Hi", answer_ids=[8, 1])]).train
    assert heights(one) == {ord("H"): 1, 8: 0}
    (two,) = rankings([thumb(0, up=False), thumb(1, up=True)]).train
    assert [side.completion_id for side in two.answers] == ["c1", "c0"]
    (three,) = rankings([versus(0, 10, 20, "b")]).train
    assert heights(three) == {20: 1, 10: 0}


def test_all_that_was_said_of_one_prompt_is_one_order() -> None:
    said = [versus(0, 10, 20), versus(1, 20, 30), thumb(2, up=False, answer_ids=[30, 1])]
    said += [thumb(3, up=True, answer_ids=[40, 1]), versus(4, 50, 60, prompt_ids=[5])]
    made = rankings(said)
    first, other = made.train
    assert heights(first) == {10: 2, 20: 1, 30: 0, 40: 1}
    assert heights(other) == {50: 1, 60: 0}
    assert made.counts == {"train": 5, "replay": 0, "holdout": 0}


def test_answers_that_nothing_connects_are_rankings_of_their_own() -> None:
    made = rankings([versus(0, 10, 20), versus(1, 30, 40)])
    assert sorted(map(len, (heights(one) for one in made.train))) == [2, 2]


@pytest.mark.parametrize(
    "said",
    [
        [thumb(0, up=True), thumb(1, up=True)],
        [versus(0, 10, 20), versus(1, 10, 20, "b")],
        [versus(0, 10, 20), versus(1, 20, 30), versus(2, 30, 10)],
        [thumb(0, up=True, answer_ids=[8, 1]), thumb(1, up=False, answer_ids=[8, 1])],
    ],
    ids=["all liked", "as many say the reverse", "a circle", "one answer"],
)
def test_what_gives_no_order_is_dropped_and_counted(said: list[Example]) -> None:
    made = rankings(said)
    assert made.train == []
    assert made.counts["dropped: no order follows from it"] == len(said)


def test_most_of_those_who_compared_prevail_and_outrank_thumbs() -> None:
    said = [versus(n, 10, 20) for n in range(2)] + [versus(2, 10, 20, "b")]
    said += [
        thumb(3, up=False, answer_ids=[10, 1], user="ann"),
        thumb(4, up=True, answer_ids=[20, 1]),
    ]
    made = rankings(said)
    (one,) = made.train
    assert heights(one) == {10: 1, 20: 0}
    assert made.counts["train"] == 2
    assert made.counts["dropped: no order follows from it"] == 3


def test_an_answer_given_twice_stands_once_and_names_everybody() -> None:
    said = [thumb(n, up=n > 0, answer_ids=[8 if n else 9, 1]) for n in range(3)]
    said[1] = said[1]._replace(adapter="tiny-v3")
    (one,) = rankings(said).train
    assert len(one.answers) == 2
    assert set(one.people) == {("c0", "user0"), ("c1", "user1"), ("c2", "user2")}
    assert one.answers[0].completion_id == "c2"  # the parent's, whose log-probabilities are known


def test_a_correction_names_who_wrote_it() -> None:
    (one,) = rankings([correction(0, rater="editor")]).train
    assert set(one.people) == {("c0", "user0"), ("c0", "editor")}


def test_a_ranking_is_no_longer_than_the_plan_allows() -> None:
    plan = EVERYBODY.model_copy(update={"max_ranked": 4})
    said = [thumb(n, up=n % 2 == 0) for n in range(12)]
    made = rankings(said, plan=plan)
    assert [len(one.answers) for one in made.train] == [4, 4, 4]
    assert made.counts["train"] == 12


def test_too_few_say_what_is_missing() -> None:
    made = rankings([versus(n, 10, 20 + n, prompt_ids=[n]) for n in range(12)])
    plan = EVERYBODY.model_copy(update={"min_rows": 64})
    assert shortage_of_rankings(made, plan) == "12 rankings to train on; expected 64"


def test_leads_are_those_of_every_better_answer_over_every_worse() -> None:
    (one,) = rankings([versus(0, 10, 20), versus(1, 20, 30)]).train
    assert one.leads([5.0, 3.0, -1.0]) == [2.0, 6.0, 4.0]


ASKED = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["up", "down", "a", "b", "correction", "tie"]),
        "user": st.sampled_from([HELD, FREE]),
        "prompt": st.integers(1, 2),
        "one": st.integers(10, 14),
        "two": st.integers(10, 14),
        "weight": st.sampled_from([0.0, 0.5, 1.0]),
        "days": st.integers(0, 3),
    }
)


def as_settled(number: int, told: dict[str, object]) -> Example:
    kind, one, two = (told[name] for name in ("kind", "one", "two"))
    fields = {
        "user": told["user"],
        "prompt_ids": [told["prompt"]],
        "answer_ids": [one, 1],
        "weight": told["weight"],
        "judged_at": datetime(2026, 6, 1, tzinfo=UTC) - timedelta(days=int(str(told["days"]))),
    }
    if kind in ("up", "down"):
        return example(number, up=kind == "up", **fields)
    if kind == "correction":
        return correction(number, chr(int(str(two)) + 60), **fields)
    return comparison(number, str(kind), rival_answer_ids=[two, 1], **fields)


@settings(max_examples=60, deadline=None)
@given(st.lists(ASKED, max_size=14), st.integers(2, 5))
def test_every_example_is_used_or_dropped_once_and_orders_hold(
    told: list[dict[str, object]], most: int
) -> None:
    said = [as_settled(number, one) for number, one in enumerate(told)]
    plan = PLAN.model_copy(update={"max_ranked": most})
    made = rankings(said, plan=plan)
    assert sum(made.counts.values()) == len(said)
    for item in (*made.train, *made.replay, *made.holdout):
        texts = [side.text for side in item.answers]
        assert 2 <= len(set(texts)) == len(texts) <= most
        assert len({text.prompt_ids for text in texts}) == 1
        assert len({side.reward for side in item.answers}) > 1
    out = {one.completion_id for one in said if is_held_out(one, plan.holdout_percent)}
    for held, items in ((True, made.holdout), (False, made.train), (False, made.replay)):
        named = {name.partition(".")[0] for one in items for name, _ in one.people}
        assert (named <= out) if held else not named & out


@given(st.permutations(range(6)))
def test_the_order_of_examples_is_no_matter(order: list[int]) -> None:
    said = [versus(0, 10, 20), versus(1, 20, 30), thumb(2, up=False, answer_ids=[30, 1])]
    said += [thumb(3, up=True, answer_ids=[40, 1]), versus(4, 50, 60), thumb(5, up=True)]
    found = [heights(one) for one in rankings([said[at] for at in order]).train]
    expected = [heights(one) for one in rankings(said).train]
    assert sorted(map(str, map(sorted, map(dict.items, found)))) == sorted(
        map(str, map(sorted, map(dict.items, expected)))
    )
