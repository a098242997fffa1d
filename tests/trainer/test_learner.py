"""In which batches an epoch goes over its lessons."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.trainer.tiny import PLAN
from trainer.learner import Learner


def batches(count: int, size: int) -> list[list[int]]:
    policy: Any = SimpleNamespace(parameters=lambda: [torch.nn.Parameter(torch.zeros(1))])
    lessons: Any = range(count)
    plan = PLAN.model_copy(update={"batch_size": size})
    learner = Learner(policy, lessons, plan)
    made = list(learner.batches())
    assert len(made) == learner.steps
    return made


@pytest.mark.parametrize(
    ("count", "size", "sizes"),
    [(96, 16, {16}), (31, 16, {15, 16}), (79, 16, {15, 16}), (17, 16, {8, 9}), (3, 16, {3})],
)
def test_every_lesson_is_in_one_batch_and_no_batch_is_much_smaller(
    count: int, size: int, sizes: set[int]
) -> None:
    made = batches(count, size)
    assert sorted(at for batch in made for at in batch) == list(range(count))
    assert {len(batch) for batch in made} == sizes
