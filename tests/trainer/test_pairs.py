from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.events import BASE
from feedback.examples import Example
from tests.trainer.tiny import PLAN, example
from trainer.batch import Text
from trainer.items import Items
from trainer.pairs import Pair, make_pairs, shortage_of_pairs
from trainer.plan import Plan
from trainer.reserved import held_out

EVERYBODY = PLAN.model_copy(update={"holdout_percent": 0.0})
END = 1
HELD, FREE = (
    next(name for name in map(str, range(99)) if held_out(name, PLAN.holdout_percent) is wanted)
    for wanted in (True, False)
)


def letters(text: str) -> list[int]:
    return [*map(ord, text), END]


def pairs(
    fresh: Sequence[Example], older: Sequence[Example] = (), plan: Plan = EVERYBODY
) -> Items[Pair]:
    return make_pairs(list(fresh), list(older), parent=BASE, plan=plan, tokenize=letters)


def changed(**fields: object) -> Plan:
    return EVERYBODY.model_copy(update=fields)


def thumb(number: int, *, up: bool, days: float = 0, **changes: object) -> Example:
    """Each answer another one."""
    at = datetime(2026, 6, 1, tzinfo=UTC) - timedelta(days=days)
    fields = {"answer_ids": [8, number + 10, 1], "judged_at": at} | changes
    return example(number, up=up, **fields)


def comparison(number: int = 0, winner: str = "a", **changes: object) -> Example:
    rival = {
        "rival_id": f"c{number}.1",
        "rival_adapter": "tiny-v3",
        "rival_answer": "milk",
        "rival_answer_ids": [4, 1],
        "rival_logprobs": [-5.0, -6.0],
    }
    return example(number, slot="comparison", up=None, winner=winner, **rival | changes)


def correction(number: int = 0, text: str = "Hi", **changes: object) -> Example:
    return example(number, slot="correction", up=None, correction=text, **changes)


def ids(pair: Pair) -> tuple[str, str]:
    return pair.chosen.completion_id, pair.rejected.completion_id


@pytest.mark.parametrize(("winner", "names"), [("a", ("c0", "c0.1")), ("b", ("c0.1", "c0"))])
def test_a_comparison_prefers_its_winner(winner: str, names: tuple[str, str]) -> None:
    (pair,) = pairs([comparison(winner=winner, weight=0.5)]).train
    assert ids(pair) == names
    sides = {side.completion_id: side for side in (pair.chosen, pair.rejected)}
    assert sides["c0"].text == Text((5, 6, 7), (8, 9, 1))
    assert sides["c0.1"].text == Text((5, 6, 7), (4, 1))
    assert sides["c0"].logprobs == (-1.0, -2.0, -3.0)
    assert sides["c0.1"].logprobs is None  # another adapter's
    assert {side.user for side in sides.values()} == {"user0"}
    assert {side.reward for side in sides.values()} == {None}
    assert (pair.weight, pair.origin) == (0.5, "comparison")


def test_a_rival_of_the_parent_has_logprobs_and_is_trained_on() -> None:
    (pair,) = pairs([comparison(adapter="tiny-v3", rival_adapter=BASE)]).train
    assert (pair.chosen.logprobs, pair.rejected.logprobs) == (None, (-5.0, -6.0))


def test_a_correction_is_preferred_to_what_it_corrects() -> None:
    (pair,) = pairs([correction(text="Hi")]).train
    assert ids(pair) == ("c0", "c0")
    assert pair.chosen.text == Text((5, 6, 7), (72, 105, END))
    assert pair.rejected.text == Text((5, 6, 7), (8, 9, 1))
    assert (pair.chosen.logprobs, pair.rejected.logprobs) == (None, (-1.0, -2.0, -3.0))
    assert pair.origin == "correction"


def test_a_correction_names_who_wrote_it_and_who_asked() -> None:
    (pair,) = pairs([correction(rater="editor")]).train
    assert pair.people == [("c0", "editor"), ("c0", "user0")]


def test_opposite_thumbs_on_one_prompt_are_a_pair_of_the_lesser_weight() -> None:
    said = [thumb(0, up=False, weight=0.5), thumb(1, up=True), thumb(2, up=True, prompt_ids=[5])]
    made = pairs(said)
    (pair,) = made.train
    assert ids(pair) == ("c1", "c0")
    assert (pair.chosen.user, pair.rejected.user) == ("user1", "user0")
    assert (pair.weight, pair.origin) == (0.5, "thumbs")
    assert made.counts == {
        "train": 2,
        "replay": 0,
        "holdout": 0,
        "dropped: no opposite thumb is left on another answer": 1,
    }


def test_each_answer_is_used_once_and_the_newest_first() -> None:
    said = [
        *(thumb(number, up=True, days=number) for number in range(3)),
        *(thumb(number, up=False, days=number) for number in range(4, 6)),
    ]
    assert [ids(pair) for pair in pairs(said).train] == [("c0", "c4"), ("c1", "c5")]
    assert pairs(said[::-1]) == pairs(said)


def test_an_answer_is_no_pair_with_itself() -> None:
    of_one = [thumb(0, up=True, rater="ann"), thumb(0, up=False, rater="bob")]
    same_words = [thumb(1, up=True), thumb(2, up=False, answer_ids=[8, 11, 1])]
    assert not pairs(of_one).train
    assert not pairs(same_words).train


def test_an_answer_that_two_rated_is_in_one_pair_of_thumbs() -> None:
    twice = [thumb(0, up=True, rater=rater) for rater in ("ann", "bob")]
    made = pairs([*twice, thumb(1, up=False), thumb(2, up=False)])
    assert len(made.train) == 1
    assert made.counts["dropped: no opposite thumb is left on another answer"] == 2


def test_a_disliked_answer_that_two_rated_is_in_one_pair_too() -> None:
    twice = [thumb(0, up=False, rater=rater) for rater in ("ann", "bob")]
    assert len(pairs([*twice, thumb(1, up=True), thumb(2, up=True)]).train) == 1


def test_the_same_answer_is_passed_over_for_an_older_one() -> None:
    same = thumb(1, up=False, days=1, answer_ids=[8, 10, 1])
    made = pairs([thumb(0, up=True), same, thumb(2, up=False, days=2)])
    assert [ids(pair) for pair in made.train] == [("c0", "c2")]


def test_a_thumb_that_was_too_many_on_its_side_is_not_called_across() -> None:
    free = [thumb(0, up=True, user=FREE), thumb(1, up=False, user=FREE)]
    late = thumb(2, up=True, user=FREE, days=1)
    made = pairs([*free, late, thumb(3, up=False, user=HELD)], plan=PLAN)
    assert made.counts["dropped: no opposite thumb is left on another answer"] == 1
    assert made.counts["dropped: the opposite thumb is across the hold-out"] == 1


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (comparison(winner="tie"), "no winner: tie"),
        (comparison(winner="both_bad"), "no winner: both_bad"),
        (comparison(rival_answer_ids=[], rival_logprobs=[]), "no token ids"),
        (comparison(rival_answer_ids=None), "no token ids"),
        (comparison(rival_answer_ids=[], rival_answer=""), "empty answer"),
        (comparison(rival_answer_ids=[8, 9, 1]), "both answers are the same"),
        (comparison(rival_answer_ids=[3] * PLAN.max_row_tokens), "too long"),
        (comparison(weight=0.0), "quarantined"),
        (comparison(prompt_ids=[]), "no token ids"),
        (correction(text="water"), "both answers are the same"),
        (correction(answer_ids=[72, END], text="H"), "both answers are the same"),
        (correction(text="x" * PLAN.max_row_tokens), "too long"),
        (correction(answer_ids=[3] * PLAN.max_row_tokens), "too long"),
        (
            example(slot="outcome:resolved", up=None, value=1.0),
            "neither a thumb, a comparison nor a correction",
        ),
    ],
)
def test_what_is_dropped_is_counted_with_its_reason(said: Example, why: str) -> None:
    assert pairs([said]).counts == {"train": 0, "replay": 0, "holdout": 0, f"dropped: {why}": 1}


def test_a_correction_of_no_tokens_is_dropped() -> None:
    made = make_pairs([correction()], [], parent=BASE, plan=EVERYBODY, tokenize=lambda text: [])
    assert made.counts["dropped: a correction of no tokens"] == 1


def test_what_is_old_is_in_no_pair() -> None:
    made = pairs([thumb(0, up=True), thumb(1, up=False, days=8)], plan=changed(max_age_days=7.0))
    assert made.counts["dropped: too old"] == 1
    assert not made.train


def test_both_answers_keep_the_same_end_of_their_prompt() -> None:
    made = pairs([comparison(rival_adapter=BASE)], plan=changed(max_row_tokens=5))
    (pair,) = made.train
    assert pair.chosen.text == Text((6, 7), (8, 9, 1))
    assert pair.rejected.text == Text((6, 7), (4, 1))
    assert pair.chosen.logprobs is pair.rejected.logprobs is None
    assert made.counts["shortened"] == 1


def test_logprobs_that_the_engine_did_not_compute_are_not_known() -> None:
    made = pairs([comparison(rival_adapter=BASE, rival_logprobs=[-5.0, -9999.0])])
    assert made.train[0].rejected.logprobs is None


def test_what_a_held_out_user_asked_is_held_out() -> None:
    said = [comparison(0, user=HELD), correction(1, user=HELD), correction(2, user=FREE)]
    made = pairs(said, plan=PLAN)
    assert {pair.origin for pair in made.holdout} == {"comparison", "correction"}
    assert [ids(pair) for pair in made.train] == [("c2", "c2")]


def test_opposite_thumbs_are_never_paired_across_the_hold_out() -> None:
    made = pairs([thumb(0, up=True, user=HELD), thumb(1, up=False, user=FREE)], plan=PLAN)
    assert not made.train and not made.holdout
    assert made.counts["dropped: the opposite thumb is across the hold-out"] == 2


def test_opposite_thumbs_of_held_out_users_are_held_out() -> None:
    said = [thumb(0, up=True, user=HELD), thumb(1, up=False, user=HELD), thumb(2, up=False)]
    made = pairs(said, plan=PLAN)
    assert [ids(pair) for pair in made.holdout] == [("c0", "c1")]


def test_a_new_thumb_on_the_parent_and_an_old_one_are_trained_on() -> None:
    made = pairs([thumb(0, up=True)], [thumb(1, up=False, adapter="tiny-v1")])
    assert [ids(pair) for pair in made.train] == [("c0", "c1")]
    assert made.train[0].rejected.logprobs is None


def test_what_is_older_or_all_of_others_is_replayed_up_to_the_cap() -> None:
    older = [correction(number) for number in range(3)]
    foreign = correction(9, adapter="tiny-v1")
    thumbs = [thumb(20, up=True), thumb(21, up=False)]
    made = pairs([foreign], [*older, *thumbs], changed(replay=4))
    assert not made.train
    assert len(made.replay) == 4
    left = made.counts["dropped: beyond the replay cap"]
    assert made.counts["replay"] + left == 6


def test_a_pair_of_thumbs_counts_as_two_examples_wherever_it_goes() -> None:
    older = [thumb(number, up=number < 2) for number in range(4)]
    counts = pairs([], older, changed(replay=1, max_row_tokens=5)).counts
    assert (counts["replay"], counts["shortened"]) == (2, 2)
    assert counts["dropped: beyond the replay cap"] == 2


def test_the_digest_names_exactly_what_was_used() -> None:
    first = pairs([comparison()]).digest
    assert pairs([comparison(), comparison(1, winner="tie")]).digest == first
    assert pairs([comparison(winner="b")]).digest != first


def test_few_pairs_or_the_same_again_are_a_shortage() -> None:
    assert shortage_of_pairs(pairs([correction()]), EVERYBODY) == (
        "1 pairs to train on; expected 16"
    )
    same = pairs([correction(0, rater=f"user{number}") for number in range(20)])
    assert shortage_of_pairs(same, EVERYBODY) == (
        "20 pairs to train on, but only 1 different; expected 16 different"
    )
    unlike = pairs([correction(number, text=f"{number}") for number in range(20)])
    assert shortage_of_pairs(unlike, EVERYBODY) == "0 pairs held out; expected 3 (min_holdout)"
    assert shortage_of_pairs(unlike, changed(min_holdout=0)) is None


made_up = st.fixed_dictionaries(
    {
        "slot": st.sampled_from(["thumb", "thumb", "comparison", "correction", "outcome:x"]),
        "up": st.booleans(),
        "weight": st.sampled_from([0.0, 0.5, 1.0]),
        "adapter": st.sampled_from([BASE, "tiny-v1"]),
        "user": st.sampled_from([HELD, FREE]),
        "prompt_ids": st.sampled_from([[], [5], [6] * 9]),
        "answer_ids": st.sampled_from([[], [1], [2, 1], [1] * 9]),
        "correction": st.sampled_from(["", "water", "H", "H" * 9]),
        "winner": st.sampled_from(["a", "b", "tie", "both_bad"]),
        "rival_answer_ids": st.sampled_from([None, [], [1], [3, 1]]),
        "judged_at": st.datetimes(timezones=st.just(UTC)),
    }
)


def as_settled(number: int, told: dict[str, object]) -> Example:
    """What other kinds of verdicts say is None."""
    owners = {"up": "thumb", "correction": "correction", "winner": "comparison"}
    silent = {name: None for name, slot in owners.items() if told["slot"] != slot}
    ids = told["answer_ids"]
    assert isinstance(ids, list)
    rival = f"c{number}.1" if told["slot"] == "comparison" else None
    return example(number, **told | silent | {"logprobs": [-1.0] * len(ids), "rival_id": rival})


@settings(max_examples=300, deadline=None)  # few of them become pairs
@given(st.lists(made_up), st.lists(made_up), st.none() | st.floats(1, 1e6))
def test_every_example_is_counted_once(
    fresh: list[dict[str, object]], older: list[dict[str, object]], days: float | None
) -> None:
    said = [as_settled(number, told) for number, told in enumerate(fresh + older)]
    plan = PLAN.model_copy(update={"max_row_tokens": 9, "replay": 2, "max_age_days": days})
    made = pairs(said[: len(fresh)], said[len(fresh) :], plan)
    shortened = made.counts.pop("shortened", 0)
    assert sum(made.counts.values()) == len(said)
    people = {one.completion_id: (one.user, one.rater) for one in said}
    for part in ("train", "replay", "holdout"):
        found: list[Pair] = getattr(made, part)
        assert made.counts[part] == sum(1 + (pair.origin == "thumbs") for pair in found)
        shortened -= sum(1 for pair in found for _ in range(1 + (pair.origin == "thumbs")))
        for pair in found:
            both = (pair.chosen, pair.rejected)
            assert pair.chosen.text != pair.rejected.text
            assert pair.chosen.text.prompt_ids == pair.rejected.text.prompt_ids != ()
            assert all(len(side.text.prompt_ids + side.text.answer_ids) <= 9 for side in both)
            theirs = [people[side.completion_id.partition(".")[0]] for side in both]
            held = [any(held_out(one, plan.holdout_percent) for one in some) for some in theirs]
            assert held == [part == "holdout"] * 2
    assert shortened <= 0  # they are among the used
