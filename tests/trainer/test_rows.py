import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.events import BASE
from feedback.examples import Example
from tests.trainer.tiny import PLAN, example
from trainer.batch import Text
from trainer.rows import Rows, held_out, make_rows, shortage

EVERYBODY = PLAN.model_copy(update={"holdout_percent": 0.0})


def rows(fresh: list[Example], older: list[Example] | None = None) -> Rows:
    return make_rows(fresh, older or [], parent=BASE, plan=EVERYBODY)


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
        ({"prompt_ids": []}, "no token ids"),
        ({"answer_ids": [], "logprobs": []}, "no token ids"),
        ({"answer_ids": [], "logprobs": [], "answer": ""}, "empty answer"),
        ({"prompt_ids": [3] * 5000}, "too long"),
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


def test_about_as_many_users_are_held_out_as_asked() -> None:
    share = sum(held_out(f"user {number}", 10.0) for number in range(10_000)) / 10_000
    assert share == pytest.approx(0.10, abs=0.01)


def test_the_digest_names_exactly_what_was_used() -> None:
    first = rows([example(0), example(1)])
    assert rows([example(0), example(1), example(2, weight=0.0)]).digest == first.digest
    assert rows([example(0), example(1)._replace(up=False)]).digest != first.digest


kinds = st.fixed_dictionaries(
    {
        "weight": st.sampled_from([0.0, 0.5, 1.0]),
        "adapter": st.sampled_from([BASE, "tiny-v1"]),
        "slot": st.sampled_from(["thumb", "correction"]),
        "answer_ids": st.sampled_from([[], [1]]),
    }
)


@given(st.lists(kinds), st.lists(kinds))
def test_every_example_is_counted_once(
    fresh: list[dict[str, object]], older: list[dict[str, object]]
) -> None:
    made = make_rows(
        [example(number, **changes) for number, changes in enumerate(fresh)],
        [example(number, **changes) for number, changes in enumerate(older)],
        parent=BASE,
        plan=PLAN,
    )
    assert sum(made.counts.values()) == len(fresh) + len(older)


def test_too_few_rows_are_a_shortage() -> None:
    why = shortage(rows([example(0)]), EVERYBODY)
    assert why == "1 rows to train on; expected 16"


def test_a_hold_out_that_could_not_judge_is_a_shortage() -> None:
    fresh = [example(number, up=True) for number in range(100)]
    why = shortage(make_rows(fresh, [], parent=BASE, plan=PLAN), PLAN)
    assert why is not None and "0 downs held out; expected 3 of each" in why
    relaxed = PLAN.model_copy(update={"min_holdout": 0})
    assert shortage(make_rows(fresh, [], parent=BASE, plan=relaxed), relaxed) is None
