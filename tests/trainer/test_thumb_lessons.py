from dataclasses import replace

import torch

from feedback.events import BASE
from tests.trainer.tiny import PLAN, rated
from trainer.batch import Text
from trainer.policy import Policy
from trainer.rows import Row, make_rows
from trainer.thumb_lessons import kto_lessons


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
