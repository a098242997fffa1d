"""What an AI said counts less than what users said: on the loss, on the gradient, on the reward."""

from random import Random

import pytest
import torch

from tests.trainer.compared import plan_of
from tests.trainer.tiny import PLAN
from trainer.batch import Text
from trainer.items import Items
from trainer.labels import Labels, beside, some
from trainer.pair_lessons import pair_lessons
from trainer.pairs import Pair
from trainer.policy import Policy
from trainer.reward import loss
from trainer.rows import Row
from trainer.sides import Side

BETTER, WORSE = Text((5, 6), (8, 9, 1)), Text((5, 6), (4, 1))
DPO = plan_of("dpo")


def users(count: int = 10, weight: float = 1.0) -> Items[Pair]:
    pair = Pair(Side("c", "ann", BETTER, None), Side("d", "ann", WORSE, None), weight, "comparison")
    return Items([pair] * count, [], [pair], {"train": count, "holdout": 1}, "abc")


def told(count: int) -> Labels:
    return Labels([(BETTER, WORSE)] * count, {"judged: labels": count})


def test_labels_stand_beside_the_users_and_nothing_else_changes() -> None:
    own = Labels([(WORSE, BETTER)], {"rewritten: labels": 1})
    made = beside(users(), {"judge": told(2), "constitution": own}, DPO)
    assert made._replace(beside=(), counts={}) == users()._replace(counts={})
    assert [one.origin for one in made.beside] == ["judge", "judge", "constitution"]
    assert [one.chosen.text for one in made.beside] == [BETTER, BETTER, WORSE]
    assert made.counts == {
        "train": 10,
        "holdout": 1,
        "judged: labels": 2,
        "rewritten: labels": 1,
    }
    assert all(one.people == [] for one in made.beside)


@pytest.mark.parametrize(
    ("labels", "weight"), [(1, 0.3), (10, 0.3), (20, 0.15), (300, 0.01), (0, 0.0)]
)
def test_all_of_them_never_outweigh_the_users(labels: int, weight: float) -> None:
    made = beside(users(10), {"judge": told(labels)}, DPO)
    assert [one.weight for one in made.beside] == [pytest.approx(weight)] * labels
    assert sum(one.weight for one in made.beside) <= 0.3 * 10 + 1e-9


def test_users_who_count_less_lift_no_machine_above_them() -> None:
    made = beside(users(10, weight=0.1), {"judge": told(10)}, DPO)
    assert [one.weight for one in made.beside] == [pytest.approx(0.03)] * 10


def test_thumbs_count_as_users_too() -> None:
    row = Row("c", "ann", BETTER, True, 0.5, None)
    made = beside(Items([row], [row], [], {}, ""), {"judge": told(10)}, plan_of("rloo"))
    assert [one.weight for one in made.beside] == [pytest.approx(0.03)] * 10


@pytest.mark.parametrize("method", ["dpo", "ipo", "simpo", "orpo", "rpo"])
def test_a_machines_pair_pulls_less_than_a_users(policy: Policy, method: str) -> None:
    plan = plan_of(method)
    made = beside(users(), {"judge": told(1)}, plan)

    def pull(pair: Pair) -> tuple[float, torch.Tensor]:
        taught = pair_lessons(policy, [pair], plan, trust=False).losses(policy, [0])
        slopes = torch.autograd.grad(taught.loss, policy.parameters())
        return taught.loss.item(), torch.cat([slope.flatten() for slope in slopes])

    users_loss, users_pull = pull(made.train[0])
    ai_loss, ai_pull = pull(made.beside[0])
    assert ai_loss == pytest.approx(0.3 * users_loss)
    assert users_pull.norm() > 0
    assert (ai_pull - 0.3 * users_pull).norm() < 1e-5 * users_pull.norm()


def test_the_reward_model_hears_it_less_too() -> None:
    made, odds = beside(users(), {"judge": told(1)}, DPO), torch.tensor([0.2, 0.9])
    assert loss(odds, [made.beside[0]]) == pytest.approx(0.3 * loss(odds, [made.train[0]]).item())


def test_each_prompt_comes_once_before_any_comes_twice() -> None:
    prompts = [(n,) for n in range(5)]
    found = some(prompts, 12, Random(PLAN.seed))
    assert sorted(found[:5]) == sorted(found[5:10]) == prompts
    assert some(prompts, 3, Random(1)) == some(prompts, 3, Random(1)) != prompts[:3]
