"""Every order, repetition and delay of what was said settles to the same."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from feedback.answers import answer_of
from feedback.events import Completion, Ruling, Verdict
from feedback.examples import Example
from feedback.join import Group, Join, Served, repeats
from tests.feedback.made import (
    SPAN,
    comparison,
    completion,
    correction,
    group,
    outcome,
    retraction,
    ruling,
    said_at,
    settled,
    thumb,
)

JOIN = Join(SPAN)


def test_a_thumb_and_its_completion_make_an_example() -> None:
    (row,) = settled(completion(), thumb(True))
    assert (row.completion_id, row.slot, row.up, row.rater) == ("c1", "thumb", True, "ann")
    assert row.answer_ids == [4, 5]
    assert row.logprobs == [-0.1, -0.25]
    assert row.adapter == "base"


def test_a_verdict_waits_for_its_completion() -> None:
    assert settled(thumb(True)) == []


def test_the_latest_word_holds() -> None:
    (row,) = settled(completion(), thumb(True, 1), thumb(False, 2))
    assert row.up is False


def test_a_repeat_of_an_old_verdict_does_not_count_as_a_new_one() -> None:
    (row,) = settled(
        completion(), thumb(True, 1, key="k1"), thumb(False, 2, key="k2"), thumb(True, 3, key="k1")
    )
    assert row.up is False


def test_two_people_have_two_verdicts() -> None:
    found = settled(completion(), thumb(True), thumb(False, 2, user="bob"))
    assert {(row.rater, row.up) for row in found} == {("ann", True), ("bob", False)}


def test_who_asked_is_who_rates_where_the_verdict_names_nobody() -> None:
    (row,) = settled(completion(), thumb(True, 1, user="ann"), thumb(False, 2))
    assert row.up is False


def test_a_retraction_takes_back_and_a_later_word_counts_again() -> None:
    (row,) = settled(completion(), thumb(True, 1), retraction(2))
    assert row.retracted
    (row,) = settled(completion(), thumb(True, 1), retraction(2), thumb(False, 3))
    assert (row.retracted, row.up) == (False, False)


def test_kinds_and_names_are_slots_of_their_own() -> None:
    found = settled(
        completion(), thumb(True), correction("better"), outcome("resolved", 1), outcome("cost", 2)
    )
    assert {row.slot for row in found} == {
        "thumb",
        "correction",
        "outcome:resolved",
        "outcome:cost",
    }


def test_a_comparison_needs_both_completions() -> None:
    assert settled(completion("g"), comparison("g", "g.1")) == []
    (row,) = settled(completion("g"), completion("g.1", adapter="m-v1"), comparison("g", "g.1"))
    assert (row.rival_id, row.rival_adapter, row.winner) == ("g.1", "m-v1", "a")
    assert row.rival_answer_ids == [4, 5]


def test_a_comparison_with_nobody_displaces_none_with_somebody() -> None:
    both = completion("g"), completion("g.1")
    good, vain = comparison("g", "g.1", "b", 1), comparison("g", "g.9", "a", 2)
    (row,) = settled(*both, good, vain)
    assert (row.rival_id, row.winner) == ("g.1", "b")
    (row,) = settled(*both, completion("g.9"), good, vain)  # it was only early
    assert (row.rival_id, row.winner) == ("g.9", "a")


def test_answers_to_different_prompts_of_one_request_are_not_compared() -> None:
    other = completion("g.1").model_copy(update={"prompt_ids": (9, 2, 3)})
    assert settled(completion("g"), other, comparison("g", "g.1")) == []
    untold = completion("g.1").model_copy(update={"prompt_ids": ()})  # ids were left out
    assert len(settled(completion("g"), untold, comparison("g", "g.1"))) == 1


def test_news_is_only_what_changed() -> None:
    before = group(completion(), thumb(True, 1))
    assert JOIN.news(before, before.add([], [said_at(9, thumb(True, 1))])) == []
    (row,) = JOIN.news(before, before.add([], [said_at(9, thumb(False, 2))]))
    assert (row.up, row.offset) == (False, 9)


def test_a_retraction_of_nothing_is_no_news() -> None:
    before = group(completion())
    assert JOIN.news(before, before.add([], [said_at(0, retraction(1))])) == []


def test_a_verdict_after_the_window_does_not_count() -> None:
    last, late = SPAN.total_seconds(), SPAN.total_seconds() + 1
    (row,) = settled(completion(), thumb(True, last))
    assert row.up is True
    assert settled(completion(), thumb(True, late)) == []
    (row,) = settled(completion(), thumb(True, 1), thumb(False, late), retraction(late))
    assert row.up is True


def test_a_repeat_is_told_by_its_key() -> None:
    known = group(completion(), thumb(True, 1, key="k"))
    new = [said_at(9, thumb(up, 2, key=k)) for up, k in ((True, "k"), (False, "l"))]
    assert [verdict.key for verdict in repeats(known, [*new, new[1]])] == ["k", "l"]


def test_a_ruling_weighs_a_verdict_and_says_why() -> None:
    (row,) = settled(completion(), thumb(True), ruling(0.0))
    assert (row.weight, row.ruling) == (0.0, "guard: too many")
    (row,) = settled(completion(), ruling(0.0, rater="bob"), thumb(True))
    assert (row.weight, row.ruling) == (1.0, None)


def test_a_person_outranks_the_guard_and_the_later_ruling_holds() -> None:
    by_hand = ruling(1.0, 2, by="eve")
    (row,) = settled(completion(), thumb(True), by_hand, ruling(0.0, 3))
    assert (row.weight, row.ruling) == (1.0, "eve: too many")
    (row,) = settled(completion(), thumb(True), ruling(0.0, 9, by="eve"), by_hand)
    assert row.weight == 0.0


def test_a_ruling_holds_when_the_verdict_is_changed() -> None:
    (row,) = settled(completion(), thumb(True, 1), ruling(0.0, 2), thumb(False, 3))
    assert (row.up, row.weight) == (False, 0.0)


EVENTS: list[Completion | Verdict | Ruling] = [
    completion("g"),
    completion("g.1"),
    thumb(True, 1, of="g", key="k1"),
    thumb(False, 2, of="g", key="k2"),
    thumb(True, 3, of="g", key="k1"),
    thumb(True, 2, of="g", key="k3"),
    retraction(4, of="g.1"),
    thumb(True, 4, of="g.1"),
    comparison("g", "g.1"),
    correction("so", 5, of="g"),
    thumb(False, SPAN.total_seconds() + 9, of="g", key="k9"),
    ruling(0.0, 5, of="g"),
    ruling(0.5, 4, of="g.1", by="eve"),
]


def said_only(found: list[Example]) -> set[str]:
    """Without the positions, which do depend on the order."""
    return {
        f"{r.identity} {r.up} {r.winner} {r.correction} {r.retracted} {r.weight}" for r in found
    }


@given(st.permutations(EVENTS), st.lists(st.sampled_from(EVENTS), max_size=10))
def test_order_and_repetition_change_nothing(
    order: list[Completion | Verdict | Ruling], repeated: list[Completion | Verdict | Ruling]
) -> None:
    assert said_only(settled(*order, *repeated)) == said_only(settled(*EVENTS))


def test_the_rows_that_were_news_add_up_to_what_is_settled() -> None:
    events = [completion(), thumb(True, 1), thumb(False, 2), retraction(3)]
    for order in permutations(enumerate(events)):
        now, newest = Group(), dict[str, Example]()
        for i, event in order:
            late = now.add(
                [Served(answer_of(event))] if isinstance(event, Completion) else [],
                [said_at(i, event)] if isinstance(event, Verdict) else [],
            )
            newest |= {row.slot: row for row in JOIN.news(now, late)}
            now = late
        assert all(row.retracted for row in newest.values())
