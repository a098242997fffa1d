import pytest
import torch

from feedback.events import BASE
from tests.trainer.tiny import PLAN, quiet, rated
from trainer.fit import fit
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.rows import make_rows
from trainer.training_set import TrainingSet, training_set

pytestmark = pytest.mark.integration


def data(policy: Policy, plan: Plan = PLAN) -> TrainingSet:
    plan = plan.model_copy(update={"holdout_percent": 0.0})
    rows = make_rows(list(rated(policy, BASE, range(64))), [], parent=BASE, plan=plan).train
    return training_set(policy, rows, plan, trust=True)


def test_liked_answers_become_likelier_than_disliked_ones(policy: Policy) -> None:
    lessons = data(policy)
    fitted = fit(policy, lessons, PLAN, tell=quiet)
    gains = policy.logprobs(lessons.texts) - lessons.parent
    assert gains[lessons.liked].mean() > 0
    assert gains[lessons.liked].mean() > gains[~lessons.liked].mean() + 1
    assert fitted.kept_epochs == PLAN.epochs
    assert len(fitted.curves["loss"]) == PLAN.epochs * (64 // PLAN.batch_size)


def test_before_the_first_step_the_policy_is_its_parent(policy: Policy) -> None:
    fitted = fit(policy, data(policy), PLAN, tell=quiet)
    # Half the weight of each answer, and lifted ups weigh more.
    assert fitted.curves["kto"][0] >= 0.5 - 1e-4
    assert fitted.curves["baseline"][0] == pytest.approx(0.0, abs=1e-4)


def test_over_the_budget_it_goes_back_to_the_epoch_before(policy: Policy) -> None:
    tight = PLAN.model_copy(update={"kl_budget_parent": 1e-6})
    before = policy.weights()
    fitted = fit(policy, data(policy), tight, tell=quiet)
    assert fitted.kept_epochs == 0
    assert fitted.stopped is not None and "the budget is 1e-06" in fitted.stopped
    after = policy.weights()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_rows_of_no_weight_teach_nothing(policy: Policy) -> None:
    lessons = data(policy)
    silent = TrainingSet(**{**vars(lessons), "weights": torch.zeros_like(lessons.weights)})
    before = policy.weights()
    fit(policy, silent, PLAN, tell=quiet)
    assert all(torch.equal(before[name], now) for name, now in policy.weights().items())


def test_it_tells_how_far_it_is(policy: Policy) -> None:
    told: list[tuple[str, int, int]] = []
    fit(policy, data(policy), PLAN, tell=lambda *where: told.append(where))
    assert told[0] == ("epoch 1 of 2", 0, 8)
    assert told[-1] == ("epoch 2 of 2", 8, 8)


def test_numbers_that_are_not_finite_end_the_round(policy: Policy) -> None:
    lessons = data(policy)
    broken = TrainingSet(**{**vars(lessons), "parent": lessons.parent * float("nan")})
    with pytest.raises(RuntimeError, match="non-finite"):
        fit(policy, broken, PLAN, tell=quiet)
