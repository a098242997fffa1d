from dataclasses import replace
from math import isnan

import pytest
import torch

from feedback.events import BASE
from tests.trainer.tiny import PLAN, rated
from trainer.policy import Policy
from trainer.reference import logged_as_computed, parent_logprobs
from trainer.rows import Row, make_rows


def rows(policy: Policy) -> list[Row]:
    plan = PLAN.model_copy(update={"holdout_percent": 0.0})
    return make_rows(list(rated(policy, BASE, range(20))), [], parent=BASE, plan=plan).train


def test_the_log_gives_the_reference_where_the_parent_answered(policy: Policy) -> None:
    told = [replace(row, logprobs=(-1.0,) * len(row.text.answer_ids)) for row in rows(policy)]
    expected = [-float(len(row.text.answer_ids)) for row in told]
    assert parent_logprobs(policy, told, trust=True).tolist() == expected


def test_what_the_log_does_not_know_is_computed(policy: Policy) -> None:
    known = rows(policy)
    mixed = [replace(row, logprobs=None) if at % 2 else row for at, row in enumerate(known)]
    logged = parent_logprobs(policy, known, trust=True)
    assert torch.allclose(parent_logprobs(policy, mixed, trust=True), logged, atol=1e-4)


def test_a_log_of_the_parent_is_trusted(policy: Policy) -> None:
    trust, gap = logged_as_computed(policy, rows(policy), PLAN)
    assert trust
    assert gap < 1e-5


def test_a_log_of_another_adapter_is_not_trusted(
    policy: Policy, caplog: pytest.LogCaptureFixture
) -> None:
    false = [
        replace(row, logprobs=tuple(value - 1 for value in row.logprobs or ()))
        for row in rows(policy)
    ]
    trust, gap = logged_as_computed(policy, false, PLAN)
    assert not trust
    assert gap == pytest.approx(1.0, abs=1e-4)
    assert "all are recomputed" in caplog.text
    computed = parent_logprobs(policy, false, trust=trust)
    true = torch.tensor([sum(row.logprobs or ()) for row in rows(policy)])
    assert torch.allclose(computed, true, atol=1e-4)


def test_a_log_that_was_not_checked_is_not_trusted(policy: Policy) -> None:
    trust, gap = logged_as_computed(
        policy, [replace(row, logprobs=None) for row in rows(policy)], PLAN
    )
    assert not trust
    assert isnan(gap)
