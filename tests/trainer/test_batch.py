from trainer.batch import pad_left


def test_prompts_for_sampling_end_together() -> None:
    ids, seen = pad_left([(1, 2, 3), (4,)])
    assert ids.tolist() == [[1, 2, 3], [0, 0, 4]]
    assert seen.tolist() == [[1, 1, 1], [0, 0, 1]]
