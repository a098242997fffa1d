"""What differs between methods that learn from thumbs, pairs, rankings, or from all verdicts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from feedback.examples import Example
from trainer.asking import Ask
from trainer.drawn import Teacher, prompts_of
from trainer.items import Items
from trainer.lessons import Lessons
from trainer.list_lessons import list_lessons
from trainer.methods import KINDS, ROLLOUTS, Kind
from trainer.online import OnlineLessons
from trainer.pair_lessons import pair_lessons
from trainer.pairs import make_pairs, shortage_of_pairs
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.rankings import make_rankings, shortage_of_rankings
from trainer.reward_fit import fit_reward
from trainer.rollout_lessons import RolloutLessons
from trainer.rows import Row, make_rows, shortage
from trainer.sides import Tokenize
from trainer.thumb_lessons import thumb_lessons
from trainer.verdicts import make_verdicts, shortage_of_verdicts


class _Make(Protocol):
    def __call__(
        self,
        fresh: list[Example],
        older: list[Example],
        *,
        parent: str,
        plan: Plan,
        tokenize: Tokenize,
    ) -> Items[Any]: ...


class _Teach(Protocol):
    def __call__(
        self, policy: Policy, items: Items[Any], plan: Plan, *, trust: bool, ask: Ask
    ) -> Lessons:
        """`trust`: are the logged log-probabilities the parent's? `ask`: for fresh answers."""


@dataclass(frozen=True)
class Ways:
    """Any item of one way is any item of all its three."""

    items: _Make
    shortage: Callable[[Items[Any], Plan], str | None]  # why they are not worth a round
    lessons: _Teach


def _make_rows(
    fresh: list[Example], older: list[Example], *, parent: str, plan: Plan, tokenize: Tokenize
) -> Items[Row]:
    """What users liked or not has its tokens."""
    return make_rows(fresh, older, parent=parent, plan=plan)


def _taught(
    lessons: Callable[..., Lessons],
) -> _Teach:
    """By what is to be trained on and to be replayed, and what an AI says beside it."""

    def teach(policy: Policy, items: Items[Any], plan: Plan, *, trust: bool, ask: Ask) -> Lessons:
        return lessons(policy, [*items.train, *items.replay, *items.beside], plan, trust=trust)

    return teach


def _online(policy: Policy, items: Items[Any], plan: Plan, *, trust: bool, ask: Ask) -> Lessons:
    teacher = Teacher(fit_reward(policy, items, plan), prompts_of(items, plan), ask)
    lessons = RolloutLessons if plan.method in ROLLOUTS else OnlineLessons
    return lessons(teacher, policy, plan)


_WAYS: dict[Kind, Ways] = {
    "thumbs": Ways(_make_rows, shortage, _taught(thumb_lessons)),
    "pairs": Ways(make_pairs, shortage_of_pairs, _taught(pair_lessons)),
    "lists": Ways(make_rankings, shortage_of_rankings, _taught(list_lessons)),
    "verdicts": Ways(make_verdicts, shortage_of_verdicts, _online),
}


def ways(plan: Plan) -> Ways:
    return _WAYS[KINDS[plan.method]]
