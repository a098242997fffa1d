"""What no loss could make sense of does not get as far as a loss."""

from collections.abc import Callable
from math import inf, nan

import pytest
from torch import Tensor, tensor

from trainer.answers import Answers, Lists, Pairs


def rows(*values: float) -> Tensor:
    return tensor(values)


EMPTY, ONE, TWO = rows(), rows(-1.0), rows(-1.0, -2.0)
ANSWER = Answers(ONE, rows(1))
ANSWERS = Answers(TWO, rows(1, 1), rewards=TWO)
ABSURD: list[tuple[Callable[[], object], str]] = [
    (lambda: Answers(EMPTY, EMPTY), r"logprobs is of shape \(0,\); expected \(1,\)"),
    (lambda: Answers(rows(-inf), ONE), "logprobs holds -inf; expected finite numbers"),
    (lambda: Answers(rows(nan), ONE), "logprobs holds nan"),
    (lambda: Answers(ONE, rows(0)), "lengths holds 0; expected at least 1"),
    (lambda: Answers(TWO, rows(1)), r"lengths is of shape \(1,\); expected \(2,\)"),
    (lambda: Answers(TWO[:, None], TWO), r"logprobs is of shape \(2, 1\); expected \(2,\)"),
    (lambda: Answers(ONE, rows(1), parent=rows(-inf)), "parent holds -inf"),
    (lambda: Answers(ONE, rows(1), rewards=rows(inf)), "rewards holds inf"),
    (lambda: ANSWER.gains, r"parent is None; expected \(B,\)"),
    (lambda: ANSWER.scores, r"rewards is None; expected \(B,\)"),
    (lambda: Pairs(ANSWER, ANSWERS, rows(1)), r"rejected is of shape \(2,\); expected \(1,\)"),
    (lambda: Pairs(ANSWER, ANSWER, rows(-1)), "weights holds -1; expected at least 0"),
    (lambda: Pairs(ANSWER, ANSWER, rows(nan)), "weights holds nan"),
    (lambda: Lists(ANSWERS, tensor([0, 1]), rows(1)), "prompts holds 1; expected less than 1"),
    (lambda: Lists(ANSWERS, tensor([0, -1]), rows(1)), "prompts holds -1; expected at least 0"),
    (lambda: Lists(ANSWERS, tensor([0]), rows(1)), r"prompts is of shape \(1,\); expected \(2,\)"),
    (lambda: Lists(ANSWERS, tensor([0, 0]), EMPTY), r"weights is of shape \(0,\)"),
    (lambda: Lists(ANSWERS, tensor([0, 0]), rows(-inf)), "weights holds -inf"),
]


@pytest.mark.parametrize(("absurd", "complaint"), ABSURD)
def test_what_would_end_as_nan_is_refused_by_name(
    absurd: Callable[[], object], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        absurd()


def test_gains_are_on_the_parent_and_means_are_of_tokens() -> None:
    answers = Answers(rows(-6, -4), rows(3, 8), parent=rows(-7, -1))
    assert answers.gains.tolist() == [1, -3]
    assert answers.means.tolist() == [-2, -0.5]
