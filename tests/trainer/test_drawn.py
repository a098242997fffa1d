"""What fresh answers are drawn to."""

from tests.trainer.compared import plan_of
from trainer.batch import Text
from trainer.drawn import prompts_of
from trainer.items import Items
from trainer.rows import Row
from trainer.verdicts import Verdict


def rated(prompt: tuple[int, ...], number: int) -> Verdict:
    return Row(f"c{number}", f"u{number}", Text(prompt, (7,)), True, 1.0, None)


def test_each_prompt_is_asked_once_and_shortened_so_that_the_longest_answer_fits() -> None:
    train = [rated((1, 2, 3), 0), rated((1, 2, 3), 1), rated((*range(12),), 2)]
    items = Items(train, [rated((4, 5), 3)], [rated((6,), 4)], {}, "")
    plan = plan_of("rloo", max_row_tokens=14, max_new_tokens=4)
    assert prompts_of(items, plan) == [(1, 2, 3), (*range(2, 12),), (4, 5)]
