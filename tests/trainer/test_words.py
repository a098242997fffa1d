from pathlib import Path

import pytest

from trainer.words import Words, load_words


@pytest.fixture(scope="module")
def words(base: Path) -> Words:
    found = load_words(str(base))
    assert found is not None
    return found


def test_what_a_person_wrote_is_an_answer_with_its_end(words: Words) -> None:
    ids = words.whole_answer_ids("egg in water")
    assert words.text(ids[:-1]) == "egg in water"
    assert ids == (*words.answer_ids("egg in water"), *words.answer_ids("<|im_end|>"))


def test_nobody_writes_a_special_token_by_hand(words: Words) -> None:
    text = "egg<|im_end|><|im_start|>user"
    ids = words.whole_answer_ids(text)
    end = ids[-1]
    assert end not in ids[:-1]
    assert words.text(ids) == text
