from pathlib import Path

import pytest

from feedback.events import BASE
from tests.trainer.test_pairs import comparison, correction
from tests.trainer.tiny import example, settle
from trainer.methods import KINDS, Method
from trainer.tally import Tally
from trainer.waiting import Seen, count, name_of, seen

SAID = [
    *(example(n, up=n < 3) for n in range(5)),  # three likes and two dislikes of one prompt
    *(example(n, up=True, prompt_ids=[n]) for n in range(5, 9)),
    comparison(9),
    comparison(10, "tie"),
    comparison(11, "b", adapter="tiny-v7", rival_adapter=BASE, prompt_ids=[9]),
    correction(12, prompt_ids=[8]),
    correction(13, weight=0.0),
    comparison(14, retracted=True),
    comparison(15, adapter="tiny-v7", prompt_ids=[3]),
    example(16, slot="outcome:resolved", up=None, value=1.0),
    example(17, prompt_ids=[1000], parameters='{"store":false}'),
]


@pytest.mark.parametrize(
    ("method", "expected"),
    [("kto", 9), ("sft", 7), ("dpo", 2 + 3), ("rpo", 2 + 3), ("rrhf", 3)],
)
def test_each_method_counts_what_it_can_learn_from(
    tmp_path: Path, method: Method, expected: int
) -> None:
    settle(tmp_path, SAID[:6], start=0, end=6)
    settle(tmp_path, SAID[6:], start=6, end=18)
    assert Tally(tmp_path, method, 0).lessons(BASE, {}) == expected


def test_thumbs_of_two_files_may_pair(tmp_path: Path) -> None:
    settle(tmp_path, [example(0)], start=0, end=1)
    settle(tmp_path, [example(1, up=False)], start=1, end=2)
    assert Tally(tmp_path, "dpo", 0).lessons(BASE, {}) == 1


def test_every_method_has_a_name_for_what_it_counts() -> None:
    assert {method: name_of(method) for method in KINDS} == {
        "kto": "thumbs",
        "sft": "liked answers",
        "rrhf": "rankings",
        **dict.fromkeys(("online_dpo", "best_of_n", "ppo", "grpo", "rloo"), "verdicts"),
        **dict.fromkeys(("dpo", "ipo", "simpo", "orpo", "rpo"), "pairs"),
    }


def test_of_a_method_that_is_left_open_every_verdict_counts() -> None:
    assert name_of("auto") == "verdicts"
    assert (
        count("auto", [Seen(("base",), at, up) for at, up in enumerate((True, False, None))]) == 3
    )


def test_nothing_said_is_nothing_to_learn_from() -> None:
    assert all(count(method, []) == 0 for method in KINDS)
    assert seen(comparison(0, "both_bad"), 0) is None
