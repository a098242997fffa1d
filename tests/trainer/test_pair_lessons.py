from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.trainer.compared import plan_of
from tests.trainer.tiny import PLAN
from trainer.batch import Text
from trainer.losses import PAIR_LOSSES
from trainer.methods import KINDS, WITH_PARENT
from trainer.packing import pack
from trainer.pair_lessons import pair_lessons
from trainer.pairs import Pair
from trainer.policy import Policy
from trainer.sides import Side

PAIR_METHODS = [method for method, kind in KINDS.items() if kind == "pairs"]
PROMPT = (5, 6, 7)


def side(*ids: int, logprobs: tuple[float, ...] | None = None, reward: float | None = None) -> Side:
    return Side("c", "ann", Text(PROMPT, ids), logprobs, reward)


PAIRS = [
    Pair(side(8, 9, 1), side(4, 1), 1.0, "comparison"),
    Pair(side(9, 1), side(8, 4, 1), 0.5, "correction"),
]


class Asked:
    """Counts what is asked of the parent."""

    def __init__(self, policy: Policy) -> None:
        self.policy, self.device, self.texts = policy, policy.device, 0

    def logprobs(self, texts: Sequence[Text], who: str = "policy") -> torch.Tensor:
        self.texts += len(texts)
        assert who == "parent"
        return self.policy.logprobs(texts, "parent")

    def token_logprobs(self, texts: Sequence[Text]) -> torch.Tensor:
        return self.policy.token_logprobs(texts)


def test_every_pair_method_has_a_loss() -> None:
    assert set(PAIR_METHODS) == PAIR_LOSSES.keys()


@pytest.mark.parametrize("method", PAIR_METHODS)
def test_only_a_loss_with_a_reference_asks_the_parent(policy: Policy, method: Any) -> None:
    asked: Any = Asked(policy)
    plan = plan_of(method)
    taught = pair_lessons(asked, PAIRS, plan, trust=True).losses(asked, [0, 1])
    assert asked.texts == (4 if method in WITH_PARENT else 0)
    assert (taught.gains is None) == (method not in WITH_PARENT)
    assert set(taught.shown) == {method, "sft"}
    assert taught.loss.item() == pytest.approx(
        (taught.shown[method] + plan.sft_weight * taught.shown["sft"]).item()
    )
    drifting = pair_lessons(asked, PAIRS, plan_of(method, kl_weight=0.1), trust=True)
    gains = drifting.losses(asked, [0, 1]).gains
    assert gains is not None and torch.allclose(gains, torch.zeros(4), atol=1e-5)


def test_what_the_log_knows_of_the_parent_is_not_computed(policy: Policy) -> None:
    known = [replace(PAIRS[0], chosen=side(8, 9, 1, logprobs=(-1.0, -1.0, -1.0))), PAIRS[1]]
    asked: Any = Asked(policy)
    pair_lessons(asked, known, plan_of("dpo"), trust=True)
    assert asked.texts == 3
    pair_lessons(asked, known, plan_of("dpo"), trust=False)  # the log is not of this parent
    assert asked.texts == 3 + 4


def test_the_dials_reach_their_losses(policy: Policy) -> None:
    def losses() -> Iterator[float]:
        for method, dial in (
            *(("dpo", {}), ("dpo", {"beta": 3.0}), ("dpo", {"label_noise": 0.3})),
            *(("simpo", {}), ("simpo", {"margin": 0.2}), ("rpo", {}), ("rpo", {"reward_scale": 4})),
        ):
            plan = plan_of(method, **dial)
            lessons = pair_lessons(policy, told, plan, trust=True)
            yield lessons.losses(policy, [0, 1]).shown[method].item()

    # As if the parent had thought otherwise, so that gains are not all zero.
    told = [replace(PAIRS[0], rejected=side(4, 1, logprobs=(-3.0, -2.0))), PAIRS[1]]
    found = list(losses())
    assert len({round(loss, 5) for loss in found}) == len(found)


def test_rewards_are_one_and_zero_unless_an_outcome_says_otherwise(policy: Policy) -> None:
    told = [PAIRS[0], replace(PAIRS[1], chosen=side(9, 1, reward=0.25))]
    lessons = pair_lessons(policy, told, plan_of("rpo"), trust=True)
    assert lessons.chosen.rewards.tolist() == [1.0, 0.25]
    assert lessons.rejected.rewards.tolist() == [0.0, 0.0]


def test_both_answers_of_a_pair_share_its_prompt() -> None:
    """In the order in which a batch has them: all chosen, then all rejected."""
    asked = [Text((20 + at, 6, 7), (8, 9, at)) for at in range(4)]
    other = [Text(text.prompt_ids, (4, 1)) for text in asked]
    (row,) = pack([*asked, *other], PLAN.packed_tokens)
    assert len(row.ids) == 4 * (3 + 3 + 2)


def test_a_pair_that_counts_for_nothing_teaches_nothing(policy: Policy) -> None:
    silent = [replace(pair, weight=0.0) for pair in PAIRS]
    for method in PAIR_METHODS:
        lessons = pair_lessons(policy, silent, plan_of(method), trust=True)
        lessons.losses(policy, [0, 1]).loss.backward()  # type: ignore[no-untyped-call]
    assert all(one.grad is None or not one.grad.any() for one in policy.parameters())
