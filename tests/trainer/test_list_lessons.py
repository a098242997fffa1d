import pytest
import torch

from tests.trainer.compared import plan_of
from trainer.batch import Text
from trainer.list_lessons import list_lessons
from trainer.policy import Policy
from trainer.rankings import Ranking
from trainer.sides import Side


def ranking(prompt: int, *answers: tuple[tuple[int, ...], float], weight: float = 1.0) -> Ranking:
    sides = [Side("c", "ann", Text((5, prompt), ids), None, height) for ids, height in answers]
    return Ranking(tuple(sides), weight, (("c", "ann"),))


RANKINGS = [
    ranking(6, ((8, 9, 1), 2.0), ((4, 1), 1.0), ((3, 2, 1), 0.0)),
    ranking(7, ((9, 1), 1.0), ((8, 1), 1.0), ((7, 1), 0.0), weight=0.5),
]


def test_a_batch_by_hand(policy: Policy) -> None:
    """Each worse answer whose mean token is likelier than a better's costs the difference."""
    lessons = list_lessons(policy, RANKINGS, plan_of("rrhf"), trust=True)
    taught = lessons.losses(policy, [1, 0])
    logs = [policy.logprobs([one.text for one in of.answers]).tolist() for of in RANKINGS]
    a, b, c = (log / size for log, size in zip(logs[0], (3, 2, 3), strict=True))
    d, e, f = (log / 2 for log in logs[1])
    first = max(b - a, 0) + max(c - a, 0) + max(c - b, 0)
    second = max(f - d, 0) + max(f - e, 0)
    assert taught.shown["rrhf"].item() == pytest.approx((first + 0.5 * second) / 2, abs=1e-5)
    best = logs[0][0] + 0.5 * (logs[1][0] + logs[1][1])  # of 3 + 2 + 2 tokens
    assert taught.shown["sft"].item() == pytest.approx(-best / 7, abs=1e-5)
    assert taught.gains is None


def test_the_drift_is_over_all_answers_where_the_plan_wants_it(policy: Policy) -> None:
    plan = plan_of("rrhf", kl_weight=0.1)
    gains = list_lessons(policy, RANKINGS, plan, trust=True).losses(policy, [1, 0]).gains
    assert gains is not None
    assert torch.allclose(gains, torch.zeros(6), atol=1e-5)


def test_an_epoch_goes_over_rankings_and_probes_one_prompt_of_each(policy: Policy) -> None:
    lessons = list_lessons(policy, RANKINGS, plan_of("rrhf"), trust=True)
    assert len(lessons) == 2
    assert [text.prompt_ids for text in lessons.texts] == [(5, 6), (5, 7)]
