"""Users compare as they would rate."""

from pathlib import Path

import pytest

from tests.bench.taste.users import compare, decided, rate, winner
from tests.trainer.tiny import PLAN, make_model
from trainer.load import load_policy
from trainer.words import load_words


@pytest.mark.parametrize(
    ("a", "b", "slips", "won"),
    [
        (True, False, False, "a"),
        (False, True, False, "b"),
        (True, False, True, "b"),
        (False, True, True, "a"),
        (True, True, False, "tie"),
        (True, True, True, "tie"),
        (False, False, False, "both_bad"),
        (False, False, True, "both_bad"),
    ],
)
def test_the_one_that_is_liked_wins_but_for_slips(a: bool, b: bool, slips: bool, won: str) -> None:
    assert winner(a, b, slips=slips) == won


def test_comparisons_are_of_the_answers_that_get_thumbs(tmp_path: Path) -> None:
    policy, words = load_policy(str(make_model(tmp_path)), None, PLAN), load_words(str(tmp_path))
    assert words is not None
    thumbs, comparisons = (
        say(policy, words, adapter="base", first=7, count=5, seed=1) for say in (rate, compare)
    )
    for thumb, verdict in zip(thumbs, comparisons, strict=True):
        assert verdict.answer_ids == thumb.answer_ids != verdict.rival_answer_ids
        assert verdict.prompt_ids == thumb.prompt_ids
        assert len(verdict.rival_logprobs or ()) == len(verdict.rival_answer_ids or ())
        assert verdict.winner == "both_bad"  # of a model that babbles
        assert not decided(verdict)
    assert [verdict.completion_id for verdict in comparisons] == [f"c{n}" for n in range(7, 12)]
