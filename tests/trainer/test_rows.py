from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.events import BASE
from feedback.examples import Example
from tests.trainer.tiny import PLAN, example
from trainer.batch import Text
from trainer.items import Items
from trainer.packing import pack
from trainer.plan import Plan
from trainer.reserved import held_out, is_held_out
from trainer.rows import Row, make_rows, shortage

EVERYBODY = PLAN.model_copy(update={"holdout_percent": 0.0})


def rows(
    fresh: list[Example], older: list[Example] | None = None, plan: Plan = EVERYBODY
) -> Items[Row]:
    return make_rows(fresh, older or [], parent=BASE, plan=plan)


def changed(**fields: object) -> Plan:
    return EVERYBODY.model_copy(update=fields)


def aged(number: int, days: float, **changes: object) -> Example:
    return example(
        number, judged_at=datetime(2026, 6, 1, tzinfo=UTC) - timedelta(days=days), **changes
    )


def test_a_row_keeps_the_ids_and_what_the_engine_thought_of_them() -> None:
    row = rows([example(up=False, weight=0.5)]).train[0]
    assert row.text == Text((5, 6, 7), (8, 9, 1))
    assert row.logprobs == (-1.0, -2.0, -3.0)
    assert (row.liked, row.weight, row.user) == (False, 0.5, "user0")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"slot": "outcome:resolved", "up": None, "value": 1.0}, "not a thumb"),
        ({"slot": "comparison", "up": None}, "not a thumb"),
        ({"weight": 0.0}, "quarantined"),
        ({"parameters": '{"store":false}'}, "withheld"),
        ({"prompt_ids": []}, "no token ids"),
        ({"answer_ids": [], "logprobs": []}, "no token ids"),
        ({"answer_ids": [], "logprobs": [], "answer": ""}, "empty answer"),
        ({"answer_ids": [3] * PLAN.max_row_tokens, "logprobs": [-1.0]}, "too long"),
    ],
)
def test_what_is_dropped_is_counted_with_its_reason(changes: dict[str, object], why: str) -> None:
    made = rows([example(0), example(1, **changes)])
    assert made.counts == {"train": 1, "replay": 0, "holdout": 0, f"dropped: {why}": 1}


def test_a_truncated_answer_stays() -> None:
    made = rows([example(finish_reason="length", answer_ids=[8, 9], logprobs=[-1.0, -1.0])])
    assert made.train[0].text.answer_ids == (8, 9)


def test_an_answer_that_is_only_an_end_stays() -> None:
    assert rows([example(answer="", answer_ids=[1], logprobs=[-9.0], up=False)]).train


def test_only_the_parents_own_answers_are_trained_on_and_have_logprobs() -> None:
    made = rows([example(0), example(1, adapter="tiny-v3")], older=[example(2, adapter="tiny-v1")])
    assert [row.completion_id for row in made.train] == ["c0"]
    assert {row.completion_id: row.logprobs for row in made.replay} == {"c1": None, "c2": None}


def test_replay_is_capped_and_drawn_alike_each_time() -> None:
    older = [example(number, adapter="tiny-v1") for number in range(100)]
    made = rows([example(200)], older)
    assert len(made.replay) == PLAN.replay
    assert made.counts["dropped: beyond the replay cap"] == 100 - PLAN.replay
    assert made == rows([example(200)], older)


def test_a_held_out_user_is_in_no_training() -> None:
    fresh = [example(number) for number in range(100)]
    older = [example(number, adapter="tiny-v1") for number in range(100, 200)]
    made = make_rows(fresh, older, parent=BASE, plan=PLAN)
    learned = {row.user for row in made.train + made.replay}
    tested = {row.user for row in made.holdout}
    assert learned and tested and not learned & tested


def test_what_a_held_out_user_judged_is_in_no_training_whoever_asked() -> None:
    out = next(f"user {at}" for at in range(1000) if held_out(f"user {at}", PLAN.holdout_percent))
    made = rows([example(at, rater=out) for at in range(100)], plan=PLAN)
    assert not made.train and made.holdout


def test_about_as_many_users_are_held_out_as_asked() -> None:
    share = sum(held_out(f"user {number}", 10.0) for number in range(10_000)) / 10_000
    assert share == pytest.approx(0.10, abs=0.01)


def test_the_digest_names_exactly_what_was_used() -> None:
    first = rows([example(0), example(1)])
    assert rows([example(0), example(1), example(2, weight=0.0)]).digest == first.digest
    assert rows([example(0), example(1)._replace(up=False)]).digest != first.digest


def test_what_was_judged_long_before_the_newest_verdict_is_too_old() -> None:
    fresh = [aged(0, 0), aged(1, 7), aged(2, 7.01)]
    made = rows(fresh, [aged(3, 30), aged(4, 1)], changed(max_age_days=7.0))
    assert [row.completion_id for row in made.train + made.replay] == ["c0", "c1", "c4"]
    assert made.counts["dropped: too old"] == 2


def test_age_counts_from_whatever_was_judged_last_even_if_it_is_dropped() -> None:
    fresh = [aged(0, 0, slot="correction", up=None), aged(1, 8)]
    assert rows(fresh, plan=changed(max_age_days=7.0)).counts["dropped: too old"] == 1


def test_what_was_put_aside_makes_no_other_old() -> None:
    fresh = [aged(0, 0, weight=0.0), aged(1, 60), aged(2, 61)]
    assert len(rows(fresh, plan=changed(max_age_days=30.0)).train) == 2


def test_without_a_bound_nothing_is_too_old() -> None:
    assert len(rows([aged(0, 0), aged(1, 10_000)]).train) == 2


def test_no_bound_is_too_large_for_the_calendar() -> None:
    assert len(rows([aged(0, 0), aged(1, 1)], plan=changed(max_age_days=1e300)).train) == 2


def test_what_is_too_long_loses_the_beginning_of_its_prompt_and_its_logprobs() -> None:
    made = rows([example(0), example(1, prompt_ids=[4, 5, 6, 7])], plan=changed(max_row_tokens=6))
    whole, cut = made.train
    assert (whole.text, whole.logprobs) == (Text((5, 6, 7), (8, 9, 1)), (-1.0, -2.0, -3.0))
    assert (cut.text, cut.logprobs) == (Text((5, 6, 7), (8, 9, 1)), None)
    assert made.counts == {"train": 2, "replay": 0, "holdout": 0, "shortened": 1}


def test_one_token_of_the_prompt_is_kept_or_the_example_dropped() -> None:
    (row,) = rows([example()], plan=changed(max_row_tokens=4)).train
    assert row.text == Text((7,), (8, 9, 1))
    assert rows([example()], plan=changed(max_row_tokens=3)).counts["dropped: too long"] == 1


def test_only_what_is_used_counts_as_shortened() -> None:
    older = [example(number, adapter="tiny-v1") for number in range(3)]
    made = rows([], older, changed(max_row_tokens=5, replay=2))
    assert (made.counts["shortened"], made.counts["dropped: beyond the replay cap"]) == (2, 1)


def test_of_a_conversation_only_the_rated_answer_is_learned() -> None:
    turns = [5, 6, 8, 9, 1, 5, 7]  # asked, answered, asked again
    (row,) = rows([example(prompt_ids=turns, answer_ids=[8, 1], logprobs=[-1.0, -1.0])]).train
    (packed,) = pack([row.text], max_tokens=100)
    assert packed.targets == [8, 1]
    assert packed.ids[:-2] == turns


def test_an_answer_that_two_users_rated_stays_twice() -> None:
    both = [example(0, rater="ann"), example(0, rater="bob", up=False)]
    assert [row.liked for row in rows(both).train] == [True, False]


kinds = st.fixed_dictionaries(
    {
        "weight": st.sampled_from([0.0, 0.5, 1.0]),
        "adapter": st.sampled_from([BASE, "tiny-v1"]),
        "slot": st.sampled_from(["thumb", "correction"]),
        "answer_ids": st.sampled_from([[], [1], [1] * 9]),
        "prompt_ids": st.sampled_from([[], [5], [5] * 9]),
        "judged_at": st.datetimes(timezones=st.just(UTC)),
    }
)


@settings(deadline=None)
@given(st.lists(kinds), st.lists(kinds), st.none() | st.floats(1, 1e6))
def test_every_example_is_counted_once(
    fresh: list[dict[str, object]], older: list[dict[str, object]], days: float | None
) -> None:
    made = make_rows(
        [example(number, **changes) for number, changes in enumerate(fresh)],
        [example(number, **changes) for number, changes in enumerate(older, len(fresh))],
        parent=BASE,
        plan=PLAN.model_copy(update={"max_row_tokens": 9, "replay": 2, "max_age_days": days}),
    )
    shortened = made.counts.pop("shortened", 0)
    used = [*made.train, *made.replay, *made.holdout]
    assert sum(made.counts.values()) == len(fresh) + len(older)
    assert [made.counts[part] for part in ("train", "replay", "holdout")] == [
        len(part) for part in (made.train, made.replay, made.holdout)
    ]
    assert len({row.completion_id for row in used}) == len(used) >= shortened
    assert all(len(row.text.prompt_ids) + len(row.text.answer_ids) <= 9 for row in used)


def test_too_few_rows_are_a_shortage() -> None:
    why = shortage(rows([example(0)]), EVERYBODY)
    assert why == "1 rows to train on; expected 16"


def test_many_ratings_of_few_answers_are_a_shortage() -> None:
    """Duplicates only: each prompt's neighbour has the same answer, and KTO compares nothing."""
    same = [example(0, rater=f"user{number}", up=number % 2 == 0) for number in range(100)]
    why = shortage(rows(same), EVERYBODY)
    assert why == "100 rows to train on, but only 1 different; expected 16 different"
    others = [example(number, answer_ids=[7, number, 1]) for number in range(1, 16)]
    relaxed = changed(min_holdout=0)
    assert shortage(rows(same + others), relaxed) is None


def test_a_hold_out_that_could_not_judge_is_a_shortage() -> None:
    fresh = [example(number, up=True, answer_ids=[8, number, 1]) for number in range(100)]
    why = shortage(make_rows(fresh, [], parent=BASE, plan=PLAN), PLAN)
    assert why is not None and "0 downs held out; expected 3 of each" in why
    relaxed = PLAN.model_copy(update={"min_holdout": 0})
    assert shortage(make_rows(fresh, [], parent=BASE, plan=relaxed), relaxed) is None


def test_imitation_learns_from_likes_and_is_tested_on_both() -> None:
    said = [example(n, user=f"user{n % 40}", up=n % 2 == 0) for n in range(80)]
    made = rows(said, plan=PLAN.model_copy(update={"method": "sft"}))
    assert all(row.liked for row in (*made.train, *made.replay))
    assert {row.liked for row in made.holdout} == {True, False}
    downs = sum(not is_held_out(one, PLAN.holdout_percent) for one in said if not one.up)
    assert made.counts["dropped: not liked"] == downs
    assert sum(made.counts.values()) == 80
