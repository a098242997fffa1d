"""Rows worked by hand. Tokens of prompts are below 50, of answers above."""

import pytest

from trainer.batch import Text
from trainer.packing import Packed, Segment, Span, follow, pack

P, Q = (1, 2, 3), (4, 5)
A, B, C = (51, 52), (61,), (71, 72, 73)


def one(texts: list[Text]) -> Packed:
    (row,) = pack(texts, 100)
    return row


def test_lone_answers_stand_side_by_side() -> None:
    assert one([Text(P, A), Text(Q, B)]) == Packed(
        ids=[1, 2, 3, 51, 52, 4, 5, 61],
        positions=[0, 1, 2, 3, 4, 0, 1, 2],
        segments=[Segment(Span(0, 5), None), Segment(Span(5, 8), None)],
        prompts={0: Span(0, 3), 1: Span(5, 7)},
        predictors=[2, 3, 6],
        targets=[51, 52, 61],
        owners=[0, 0, 1],
        places=[0, 1, 0],
        lasts={0: 4, 1: 7},
    )


def test_a_shared_prompt_is_laid_out_once() -> None:
    assert one([Text(P, A), Text(P, C)]) == Packed(
        ids=[1, 2, 3, 51, 52, 71, 72, 73],
        positions=[0, 1, 2, 3, 4, 3, 4, 5],
        segments=[Segment(Span(0, 5), None), Segment(Span(5, 8), Span(0, 3))],
        prompts={0: Span(0, 3), 1: Span(0, 3)},
        predictors=[2, 3, 2, 5, 6],
        targets=[51, 52, 71, 72, 73],
        owners=[0, 0, 1, 1, 1],
        places=[0, 1, 0, 1, 2],
        lasts={0: 4, 1: 7},
    )


def test_texts_of_one_prompt_find_each_other_wherever_they_are() -> None:
    row = one([Text(P, A), Text(Q, B), Text(P, B)])
    assert row.ids == [1, 2, 3, 51, 52, 61, 4, 5, 61]
    assert row.owners == [0, 0, 2, 1]


def test_a_strangers_answer_looks_back_at_the_prompt_of_the_row_before() -> None:
    row = one([Text(P, A), Text(Q, B)])
    assert follow(row, [Text(P, B), Text(Q, C)]) == Packed(
        before=8,
        ids=[61, 71, 72, 73],
        positions=[3, 2, 3, 4],
        segments=[Segment(Span(0, 1), Span(0, 3)), Segment(Span(1, 4), Span(5, 7))],
        prompts={0: Span(0, 3), 1: Span(5, 7)},
        predictors=[2, 6, 9, 10],  # from 8 on those of this row
        targets=[61, 71, 72, 73],
        owners=[0, 1, 1, 1],
        places=[0, 0, 1, 2],
        lasts={0: 8, 1: 11},
    )


def test_a_stranger_to_another_prompt_is_refused() -> None:
    with pytest.raises(ValueError, match="text 0 has another prompt"):
        follow(one([Text(P, A)]), [Text(Q, A)])


def test_a_row_ends_before_it_is_longer_than_the_bound() -> None:
    texts = [Text(P, A), Text(Q, B), Text(Q, C)]
    assert [row.ids for row in pack(texts, 8)] == [[*P, *A, *Q, *B], [*Q, *C]]
    assert [row.ids for row in pack(texts, 7)] == [[*P, *A], [*Q, *B, *C]]
    assert [list(row.prompts) for row in pack(texts, 7)] == [[0], [1, 2]]


def test_a_text_longer_than_the_bound_has_a_row_of_its_own() -> None:
    rows = pack([Text(Q, B), Text(P, A), Text(Q, C)], 3)
    assert [row.ids for row in rows] == [[*Q, *B], [*Q, *C], [*P, *A]]


@pytest.mark.parametrize("text", [Text((), A), Text(P, ())])
def test_what_has_no_prompt_or_no_answer_is_refused(text: Text) -> None:
    with pytest.raises(ValueError, match=r"text 1 has \d tokens of prompt and \d of answer"):
        pack([Text(P, A), text], 100)


def test_no_texts_are_no_rows() -> None:
    assert pack([], 100) == []
