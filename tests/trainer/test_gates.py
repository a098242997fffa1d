from dataclasses import replace

import pytest

from trainer.adapters import Estimate
from trainer.gates import Behaviour, Measured, decide, gap
from trainer.plan import Plan

PLAN = Plan(kl_budget_parent=3, kl_budget_base=10, min_holdout=3)
GOOD = Measured(
    kept_epochs=2,
    stopped=None,
    kl_parent=Estimate(value=1.0, stderr=0.2, n=96),
    kl_base=Estimate(value=2.0, stderr=0.2, n=96),
    candidate=Behaviour(end_rate=0.97, length=20.0, n=96),
    parent=Behaviour(end_rate=1.0, length=30.0, n=96),
    ups=[1.0, 2.0, 0.5, 1.5],
    downs=[-1.0, 0.0, -2.0],
)
UNMEASURED = Estimate(value=0.0, stderr=0.0, n=0)


def failed(measured: Measured, plan: Plan = PLAN) -> list[str]:
    return [gate.name for gate in decide(measured, plan) if not gate.passed]


def test_a_good_candidate_passes_every_gate() -> None:
    assert failed(GOOD) == []


@pytest.mark.parametrize(
    ("candidate", "gate"),
    [
        (replace(GOOD, kept_epochs=0, stopped="epoch 1 reached 6 nats"), "learned"),
        (replace(GOOD, kl_parent=Estimate(value=3.1, stderr=0.1, n=96)), "kl_parent"),
        (replace(GOOD, kl_parent=Estimate(value=2.5, stderr=1.0, n=4)), "kl_parent"),
        (replace(GOOD, kl_parent=UNMEASURED), "kl_parent"),
        (replace(GOOD, kl_base=Estimate(value=11.0, stderr=0.1, n=96)), "kl_base"),
        (replace(GOOD, candidate=Behaviour(end_rate=0.94, length=20.0, n=96)), "end_of_text"),
        (replace(GOOD, candidate=Behaviour(end_rate=1.0, length=14.0, n=96)), "length"),
        (replace(GOOD, candidate=Behaviour(end_rate=1.0, length=61.0, n=96)), "length"),
        (replace(GOOD, ups=GOOD.downs, downs=GOOD.ups), "held_out"),
        (replace(GOOD, downs=[-1.0, -2.0]), "held_out"),
        (replace(GOOD, ups=[]), "held_out"),
    ],
)
def test_each_fault_fails_its_own_gate(candidate: Measured, gate: str) -> None:
    assert failed(candidate) == [gate]


def test_a_candidate_no_better_than_chance_passes() -> None:
    # Where nine of ten answers are liked, most downs are slips.
    assert failed(replace(GOOD, ups=[0.0, 1.0, -1.0, 0.2], downs=[0.1, 1.1, -0.8])) == []


def test_what_could_not_be_measured_says_so() -> None:
    reasons = {gate.name: gate.reason for gate in decide(replace(GOOD, ups=[1.0]), PLAN)}
    assert reasons["held_out"] == "could not measure: 1 ups and 3 downs held out"


def test_doing_without_the_held_out_gate_is_asked_for_and_said() -> None:
    gates = decide(replace(GOOD, ups=[]), PLAN.model_copy(update={"min_holdout": 0}))
    assert gates[-1].passed
    assert gates[-1].reason.startswith("not asked for: min_holdout is 0")


def test_every_reason_carries_its_numbers() -> None:
    assert all(any(mark.isdigit() for mark in gate.reason) for gate in decide(GOOD, PLAN))


def test_the_gap_by_hand() -> None:
    # Means 2 and 0; both variances 2, two of each: error sqrt(2 * (1/2 + 1/2)).
    found = gap([1.0, 3.0], [-1.0, 1.0])
    assert (found.value, found.n) == (2.0, 4)
    assert found.stderr == pytest.approx(2**0.5)
