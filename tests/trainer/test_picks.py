from typing import Any

import pytest

from tests.trainer.live import completion
from trainer.batch import Text
from trainer.picks import Waiting, can_be_scored, is_faithful

WHOLE = completion("c", "tiny-v1", Text((5, 6, 7), (8, 9)), (-1.0, -2.0))


@pytest.mark.parametrize(
    ("changes", "scored"),
    [
        ({}, True),
        ({"split_revision": None}, False),  # who names an adapter chose it
        ({"error": "client closed"}, False),
        ({"prompt_ids": ()}, False),
        ({"answer_ids": (), "logprobs": ()}, False),
        ({"logprobs": ()}, False),
        ({"logprobs": (-1.0, -9999.0)}, False),  # vLLM did not compute it
        ({"prompt_ids": (5,) * 8}, True),
        ({"prompt_ids": (5,) * 9}, False),
    ],
)
def test_what_is_scored_was_served_by_the_split_and_is_whole(
    changes: dict[str, Any], scored: bool
) -> None:
    assert can_be_scored(WHOLE.model_copy(update=changes), most_tokens=10) == scored


@pytest.mark.parametrize(
    ("parameters", "usual", "faithful"),
    [
        ({}, {}, True),
        ({"temperature": 1, "top_p": 1.0, "top_k": -1, "max_tokens": 9, "seed": 3}, {}, True),
        ({"temperature": None, "logit_bias": {}}, {}, True),
        ({"temperature": 0.7}, {}, False),
        ({"top_p": 0.9}, {}, False),
        ({"top_k": 20}, {}, False),
        ({"presence_penalty": 0.1}, {}, False),
        ({"repetition_penalty": 1.1}, {}, False),
        ({"logit_bias": {"5": 3}}, {}, False),
        ({"response_format": {"type": "json_object"}}, {}, False),
        ({"response_format": {"type": "text"}}, {}, True),
        # A model may bring its own, which the engine takes where a request is silent.
        ({}, {"do_sample": True, "top_k": 20}, False),
        ({"top_k": 0}, {"do_sample": True, "top_k": 20}, True),
        ({"top_k": None}, {"top_k": 20}, False),
    ],
)
def test_an_answer_is_faithful_where_nothing_bends_the_models_distribution(
    parameters: dict[str, Any], usual: dict[str, Any], faithful: bool
) -> None:
    assert is_faithful(parameters, usual) == faithful


@pytest.mark.parametrize(
    ("canarys", "stables", "taken"),
    [
        (9, 9, ["c8", "c7", "s8", "s7"]),  # the newest, and half of each
        (1, 9, ["c0", "s8", "s7", "s6"]),
        (9, 1, ["c8", "c7", "c6", "s0"]),
        (0, 2, ["s1", "s0"]),
        (9, 0, ["c8", "c7", "c6", "c5"]),
        (0, 0, []),
    ],
)
def test_the_canary_comes_first_with_half(canarys: int, stables: int, taken: list[str]) -> None:
    waiting = Waiting()
    for name, adapter, count in (("c", "tiny-v2", canarys), ("s", "tiny-v1", stables)):
        for at in range(count):
            waiting.add(WHOLE.model_copy(update={"id": f"{name}{at}", "adapter": adapter}))
    assert [one.id for one in waiting.take("tiny-v1", "tiny-v2", most=4)] == taken


def test_without_a_canary_all_are_stables_and_no_other_is_kept() -> None:
    waiting = Waiting()
    waiting.add(WHOLE)
    waiting.add(WHOLE.model_copy(update={"adapter": "tiny-v2"}))
    assert [one.adapter for one in waiting.take("tiny-v1", None)] == ["tiny-v1"]
    assert waiting.take("tiny-v2", None) == []


def test_what_waits_is_bounded() -> None:
    waiting = Waiting()
    for at in range(1000):
        waiting.add(WHOLE.model_copy(update={"id": str(at)}))
    left = waiting.take("tiny-v1", None, most=1000)
    assert [one.id for one in left] == [str(at) for at in range(999, 939, -1)]


def test_an_answer_that_is_logged_twice_is_one() -> None:
    waiting = Waiting()
    waiting.add(WHOLE)
    waiting.add(WHOLE)
    assert len(waiting.take("tiny-v1", None)) == 1
