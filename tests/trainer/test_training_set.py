from dataclasses import replace

import pytest
import torch

from feedback.events import BASE
from tests.trainer.tiny import PLAN, rated
from trainer.batch import Text
from trainer.policy import Policy
from trainer.rows import Row, make_rows
from trainer.training_set import logged_as_computed, parent_logprobs, training_set


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


def test_strangers_pair_every_prompt_with_another_rows_answer(policy: Policy) -> None:
    data = training_set(policy, rows(policy), PLAN, trust=True)
    assert [text.prompt_ids for text in data.strangers] == [text.prompt_ids for text in data.texts]
    answers = [text.answer_ids for text in data.texts]
    assert [text.answer_ids for text in data.strangers] == answers[1:] + answers[:1]
    assert torch.equal(data.parent_strangers, policy.logprobs(data.strangers))


def test_a_stranger_is_no_longer_than_a_row_may_be(policy: Policy) -> None:
    plan = PLAN.model_copy(update={"max_row_tokens": 8})
    long, short = (Text((5, 6, 7), ids) for ids in ((8, 9, 1, 2, 3), (8,)))
    cut = [Row("c", "ann", text, True, 1.0, None) for text in (long, short)]
    data = training_set(policy, cut, plan, trust=False)
    assert max(len(text.prompt_ids) + len(text.answer_ids) for text in data.strangers) == 8
    full = [replace(row, text=Text((4,) * 3 + row.text.prompt_ids, (8,))) for row in cut]
    data = training_set(policy, [cut[0], full[0]], plan, trust=False)
    assert max(len(text.prompt_ids) + len(text.answer_ids) for text in data.strangers) == 8
