from dataclasses import replace

import pytest
import torch

from feedback.events import BASE
from tests.trainer.tiny import PLAN, example, rated
from trainer.batch import Text
from trainer.policy import Policy
from trainer.rows import Row, make_rows
from trainer.thumb_lessons import kto_lessons, thumb_lessons


def rows(policy: Policy) -> list[Row]:
    plan = PLAN.model_copy(update={"holdout_percent": 0.0})
    return make_rows(list(rated(policy, BASE, range(20))), [], parent=BASE, plan=plan).train


def test_strangers_pair_every_prompt_with_another_rows_answer(policy: Policy) -> None:
    lessons = kto_lessons(policy, rows(policy), PLAN, trust=True)
    asked = [text.prompt_ids for text in lessons.texts]
    assert [text.prompt_ids for text in lessons.strangers] == asked
    answers = [text.answer_ids for text in lessons.texts]
    assert [text.answer_ids for text in lessons.strangers] == answers[1:] + answers[:1]
    assert torch.equal(lessons.parent_strangers, policy.logprobs(lessons.strangers))


def test_a_stranger_is_no_longer_than_a_row_may_be(policy: Policy) -> None:
    plan = PLAN.model_copy(update={"max_row_tokens": 8})
    long, short = (Text((5, 6, 7), ids) for ids in ((8, 9, 1, 2, 3), (8,)))
    cut = [Row("c", "ann", text, True, 1.0, None) for text in (long, short)]
    lessons = kto_lessons(policy, cut, plan, trust=False)
    assert max(len(text.prompt_ids) + len(text.answer_ids) for text in lessons.strangers) == 8
    full = [replace(row, text=Text((4,) * 3 + row.text.prompt_ids, (8,))) for row in cut]
    lessons = kto_lessons(policy, [cut[0], full[0]], plan, trust=False)
    assert max(len(text.prompt_ids) + len(text.answer_ids) for text in lessons.strangers) == 8


def test_of_a_conversation_only_the_rated_answer_is_learned(policy: Policy) -> None:
    """The prompt has the turns before, the model's own answers among them."""
    turns, answer = (5, 6, 8, 9, 1, 7, 6), (4, 3, 1)
    said = example(0, prompt_ids=list(turns), answer_ids=list(answer))
    plan = PLAN.model_copy(update={"method": "sft", "holdout_percent": 0.0})
    own = make_rows([said], [], parent=BASE, plan=plan).train
    taught = thumb_lessons(policy, own, plan, trust=False).losses(policy, [0])
    with policy._forward.unpacked(), torch.no_grad():
        logits = policy._model(torch.tensor([turns + answer])).logits[0]
    logs = logits.log_softmax(1)
    expected = [logs[len(turns) - 1 + at, token].item() for at, token in enumerate(answer)]
    assert taught.loss.item() == pytest.approx(-sum(expected) / 3, abs=1e-5)


def test_imitation_asks_the_parent_for_the_drift_alone(policy: Policy) -> None:
    plan = PLAN.model_copy(update={"method": "sft"})
    liked = [replace(row, liked=at % 2 == 0) for at, row in enumerate(rows(policy))]
    lessons = thumb_lessons(policy, liked, plan, trust=True)
    assert len(lessons) == len(liked) / 2
    assert lessons.losses(policy, [0, 1]).gains is None
    drifting = plan.model_copy(update={"kl_weight": 0.1})
    gains = thumb_lessons(policy, liked, drifting, trust=True).losses(policy, [0, 1]).gains
    assert gains is not None and torch.allclose(gains, torch.zeros(2), atol=1e-4)
