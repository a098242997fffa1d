import re
from math import isfinite
from pathlib import Path

import pytest
import torch

from feedback.events import BASE
from tests.trainer.tiny import PLAN, quiet, rated
from trainer.endings import RoundFailed
from trainer.fit import fit
from trainer.load import load_policy
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.rows import make_rows
from trainer.thumb_lessons import KtoLessons, kto_lessons

pytestmark = pytest.mark.integration


def taught(policy: Policy, plan: Plan = PLAN) -> KtoLessons:
    plan = plan.model_copy(update={"holdout_percent": 0.0})
    rows = make_rows(list(rated(policy, BASE, range(64))), [], parent=BASE, plan=plan).train
    return kto_lessons(policy, rows, plan, trust=True)


def test_liked_answers_become_likelier_than_disliked_ones(policy: Policy) -> None:
    lessons = taught(policy)
    fitted = fit(policy, lessons, PLAN, tell=quiet)
    gains = policy.logprobs(lessons.texts) - lessons.parent
    assert gains[lessons.liked].mean() > 0
    assert gains[lessons.liked].mean() > gains[~lessons.liked].mean() + 1
    assert fitted.kept_epochs == PLAN.epochs
    assert len(fitted.curves["loss"]) == PLAN.epochs * (64 // PLAN.batch_size)


def test_before_the_first_step_the_policy_is_its_parent(policy: Policy) -> None:
    fitted = fit(policy, taught(policy), PLAN, tell=quiet)
    # Half the weight of each answer, and lifted ups weigh more.
    assert fitted.curves["kto"][0] >= 0.5 - 1e-4
    assert fitted.curves["baseline"][0] == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("whose", ["parent", "base"])
def test_where_no_part_is_within_its_budgets_it_is_its_parent_again(
    policy: Policy, whose: str
) -> None:
    tight = PLAN.model_copy(update={f"kl_budget_{whose}": 1e-6})
    before = policy.weights()
    fitted = fit(policy, taught(policy), tight, tell=quiet)
    assert fitted.kept_epochs == 0
    assert fitted.stopped is not None
    assert f"nats from the {whose}; the budget is 1e-06" in fitted.stopped
    after = policy.weights()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_of_a_first_epoch_that_went_too_far_a_part_is_kept(
    policy: Policy, caplog: pytest.LogCaptureFixture
) -> None:
    before, lessons = policy.weights(), taught(policy)
    once = PLAN.model_copy(update={"epochs": 1})
    (far,) = fit(policy, lessons, once, tell=quiet).curves["kl_parent"]
    whole = policy.weights()
    policy.restore(before)
    tight = once.model_copy(update={"kl_budget_parent": far / 2})
    fitted = fit(policy, lessons, tight, tell=quiet)
    assert 0 < fitted.kept_epochs < 1
    assert "of epoch 1, which went over a KL budget, 0." in caplog.text
    assert fitted.stopped is not None
    assert fitted.stopped.startswith("epoch 1 reached ")
    assert fitted.curves["kl_parent"] == (far,)  # a number for each epoch
    for name, old in before.items():
        there = old + fitted.kept_epochs * (whole[name] - old)
        assert torch.allclose(policy.weights()[name], there, atol=1e-6)
    gains = policy.logprobs(lessons.texts) - lessons.parent
    assert gains[lessons.liked].mean() > gains[~lessons.liked].mean()


def test_a_later_epoch_that_went_too_far_does_not_count(policy: Policy) -> None:
    first: list[dict[str, torch.Tensor]] = []

    def far(step: str, done: int, of: int) -> None:
        if (step, done) == ("epoch 2 of 2", 0):
            first.append(policy.weights())
        if (step, done) == ("epoch 2 of 2", of):
            policy.restore({name: 5 * now for name, now in policy.weights().items()})

    near = PLAN.model_copy(update={"kl_budget_parent": 2.0})
    fitted = fit(policy, taught(policy), near, tell=far)
    assert fitted.kept_epochs == 1
    assert fitted.stopped is not None
    assert fitted.stopped.startswith("epoch 2 reached ")
    assert all(torch.equal(first[0][name], now) for name, now in policy.weights().items())


def test_the_drift_after_each_epoch_is_kept_by_every_estimate(policy: Policy) -> None:
    curves = fit(policy, taught(policy), PLAN, tell=quiet).curves
    names = ("kl_parent", "kl_parent_k2", "kl_parent_k3", "kl_base")
    assert all(len(curves[name]) == PLAN.epochs for name in names)
    assert curves["kl_parent"] == curves["kl_base"]  # the parent is the base
    assert min(curves["kl_parent_k2"] + curves["kl_parent_k3"]) > 0
    assert "kl_weight" not in curves  # off unless a plan asks for it


def test_the_larger_its_penalty_the_nearer_it_stays_to_its_parent(base: Path) -> None:
    ends = []
    for weight in (0.0, 0.3, 30.0):
        policy = load_policy(str(base), None, PLAN)
        plan = PLAN.model_copy(update={"kl_weight": weight, "kl_target": 1e-3, "epochs": 3})
        fitted = fit(policy, taught(policy), plan, tell=quiet)
        ends.append(fitted.curves["kl_parent_k2"][-1])
        if weight:  # the target is out of reach: a fifth more each time
            expected = (weight, weight * 1.2, weight * 1.44)
            assert fitted.curves["kl_weight"] == pytest.approx(expected)
    assert ends[0] > ends[1] > ends[2]


def test_rows_of_no_weight_teach_nothing(policy: Policy) -> None:
    lessons = taught(policy)
    silent = KtoLessons(**{**vars(lessons), "weights": torch.zeros_like(lessons.weights)})
    before = policy.weights()
    fit(policy, silent, PLAN, tell=quiet)
    assert all(torch.equal(before[name], now) for name, now in policy.weights().items())


def test_it_tells_how_far_it_is(policy: Policy) -> None:
    told: list[tuple[str, int, int]] = []
    fit(policy, taught(policy), PLAN, tell=lambda *where: told.append(where))
    assert told[0] == ("epoch 1 of 2", 0, 8)
    assert ("epoch 2 of 2", 8, 8) in told
    assert told[-1] == ("drift after epoch 2 of 2", 1, 1)


def test_without_a_sound_epoch_the_round_fails(policy: Policy) -> None:
    lessons = taught(policy)
    broken = KtoLessons(**{**vars(lessons), "parent": lessons.parent * float("nan")})
    with pytest.raises(RoundFailed, match=r"epoch 1: gains holds nan; .*; no epoch was sound"):
        fit(policy, broken, PLAN, tell=quiet)


class Poison:
    """Told how far the loop is, it makes a weight NaN, or so large that the gradient is none."""

    def __init__(self, policy: Policy, value: float, at: tuple[str, int]) -> None:
        self.policy, self.value, self.at = policy, value, at
        self.sound: dict[str, torch.Tensor] = {}

    def tell(self, step: str, done: int, of: int) -> None:
        if done == 0 and step.startswith("epoch"):
            self.sound = self.policy.weights()
        if (step, done) == self.at:
            with torch.no_grad():
                self.policy.parameters()[0].fill_(self.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38])
@pytest.mark.parametrize("done", [3, 8])  # in the middle, and after the last step
def test_it_goes_back_to_the_last_sound_epoch(policy: Policy, value: float, done: int) -> None:
    poison = Poison(policy, value, ("epoch 2 of 3", done))
    plan = PLAN.model_copy(update={"epochs": 3})
    fitted = fit(policy, taught(policy), plan, tell=poison.tell)
    assert fitted.kept_epochs == 1
    assert fitted.stopped is not None
    assert re.match(
        r"epoch 2: (\w+ holds -?(nan|inf)|the \w+ is (nan|inf)|a .* is not)", fitted.stopped
    )
    assert all(torch.equal(poison.sound[name], now) for name, now in policy.weights().items())
    assert all(isfinite(value) for curve in fitted.curves.values() for value in curve)
