from trainer.batch import Text, pad, pad_left


def test_answers_are_marked_where_they_are_predicted() -> None:
    batch = pad([Text((1, 2, 3), (4, 5)), Text((6,), (7,))])
    assert batch.ids.tolist() == [[1, 2, 3, 4, 5], [6, 7, 0, 0, 0]]
    # At position t the next token, t+1, is predicted.
    assert batch.answer.tolist() == [[False, False, True, True], [True, False, False, False]]


def test_every_answer_token_is_marked_once() -> None:
    texts = [Text(tuple(range(p)), tuple(range(a))) for p in (1, 4, 9) for a in (1, 3, 7)]
    marked = pad(texts).answer.sum(1).tolist()
    assert marked == [len(text.answer_ids) for text in texts]


def test_prompts_for_sampling_end_together() -> None:
    ids, seen = pad_left([(1, 2, 3), (4,)])
    assert ids.tolist() == [[1, 2, 3], [0, 0, 4]]
    assert seen.tolist() == [[1, 1, 1], [0, 0, 1]]
