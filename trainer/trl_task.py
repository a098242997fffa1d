"""Lessons as one of TRL's trainers is told them: its rows, as ids, and its dials. Knows no TRL.

Of what it cannot be told, a verdict's own weight, it is told nothing: the round ends.
"""

from typing import Any, NamedTuple

from torch import Tensor

from trainer.answers import check_rows
from trainer.backends import TRL_LACKS
from trainer.endings import RoundFailed
from trainer.lessons import Lessons
from trainer.pair_lessons import PairLessons
from trainer.plan import Plan
from trainer.thumb_lessons import Imitation, KtoLessons

_UNSEEN = -100  # no token to learn


class Task(NamedTuple):
    trainer: str
    rows: list[dict[str, Any]]
    dials: dict[str, Any]


def task_of(lessons: Lessons, plan: Plan) -> Task:
    match lessons:
        case KtoLessons():
            return _thumbs(lessons)
        case PairLessons():
            return _pairs(lessons, plan)
        case Imitation():
            return _liked(lessons)
    raise TypeError(f"lessons are {type(lessons).__name__}; expected those of {list(TRL_LACKS)}")


def _thumbs(lessons: KtoLessons) -> Task:
    check_rows(parent=lessons.parent, strangers=lessons.parent_strangers)  # TRL leaves out NaN
    _each_counts_one(lessons.weights)
    rows = _rows(
        prompt_ids=[text.prompt_ids for text in lessons.texts],
        completion_ids=[text.answer_ids for text in lessons.texts],
        KL_completion_ids=[text.answer_ids for text in lessons.strangers],
        label=lessons.liked.tolist(),
        ref_logps=lessons.parent.tolist(),
        ref_KL_logps=lessons.parent_strangers.tolist(),
    )
    weights = {"desirable_weight": lessons.up_weight, "undesirable_weight": lessons.down_weight}
    return Task("KTO", rows, {"beta": lessons.beta} | weights)


def _pairs(lessons: PairLessons, plan: Plan) -> Task:
    chosen, rejected = lessons.chosen, lessons.rejected
    assert chosen.parent is not None and rejected.parent is not None  # DPO and IPO read them
    _each_counts_one(lessons.weights)
    rows = _rows(
        prompt_ids=[text.prompt_ids for text in chosen.texts],
        chosen_ids=[text.answer_ids for text in chosen.texts],
        rejected_ids=[text.answer_ids for text in rejected.texts],
        ref_chosen_logps=chosen.parent.tolist(),
        ref_rejected_logps=rejected.parent.tolist(),
    )
    losses = ["sigmoid" if plan.method == "dpo" else "ipo", "sft"]
    dials = {"loss_type": losses, "loss_weights": [1.0, plan.sft_weight], "beta": plan.beta}
    return Task("DPO", rows, dials)


def _liked(lessons: Imitation) -> Task:
    _each_counts_one(lessons.weights)
    rows = _rows(
        input_ids=[text.prompt_ids + text.answer_ids for text in lessons.texts],
        labels=[(_UNSEEN,) * len(text.prompt_ids) + text.answer_ids for text in lessons.texts],
    )
    return Task("SFT", rows, {})


def _rows(**columns: list[Any]) -> list[dict[str, Any]]:
    return [
        dict(zip(columns, map(_listed, row), strict=True))
        for row in zip(*columns.values(), strict=True)
    ]


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _each_counts_one(weights: Tensor) -> None:
    for weight in weights.tolist():
        if weight != 1:
            raise RoundFailed(f"a verdict weighs {weight}; expected 1 of each with backend 'trl'")
