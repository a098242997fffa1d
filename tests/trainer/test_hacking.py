"""A reward that rises for what users do not like is found out before anybody is served it."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from feedback.events import BASE
from tests.trainer.compared import plan_of
from tests.trainer.test_online import PROMPTS
from tests.trainer.tiny import example, make_model, quiet
from trainer.adapters import Estimate
from trainer.asking import itself
from trainer.batch import Text
from trainer.drawn import Teacher
from trainer.fit import fit
from trainer.gates import decide, scores
from trainer.hacking import hacking_gate
from trainer.held_out import HeldOut, Orders, Thumbs
from trainer.load import load_policy
from trainer.measure import measure
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.probes import prepare
from trainer.reward import Scored
from trainer.reward_fit import Learned
from trainer.rollout_lessons import RolloutLessons
from trainer.rows import make_rows

PLAN = Plan(min_holdout=3)
UP, FLAT = Estimate(value=1.0, stderr=0.2, n=96), Estimate(value=0.2, stderr=0.2, n=96)
DOWN = Estimate(value=-1.0, stderr=0.2, n=96)
LIKED, DISLIKED = (
    Thumbs([1.0, 2.0, 1.5], [0.0, -1.0, 0.5]),
    Thumbs([0.0, 1.0, 0.5], [1.0, 2.0, 0.7]),
)


@pytest.mark.parametrize(
    ("gain", "held", "passed"),
    [
        (UP, LIKED, True),
        (UP, DISLIKED, False),
        (FLAT, DISLIKED, True),  # it may be chance that it rose
        (DOWN, DISLIKED, True),  # nothing is gamed; other gates have their say
        (UP, Orders([[1.0], [2.0], [0.5]]), True),
        (UP, Orders([[-1.0], [-2.0], [0.5]]), False),
        (UP, Thumbs([1.0], []), False),  # could not measure
        (Estimate(value=1.0, stderr=0.0, n=1), LIKED, False),
    ],
)
def test_it_fails_where_the_reward_rose_and_users_preference_fell(
    gain: Estimate, held: HeldOut, passed: bool
) -> None:
    assert hacking_gate(gain, held, PLAN).passed is passed


def test_it_says_what_rose_and_what_fell() -> None:
    assert hacking_gate(UP, DISLIKED, PLAN).reason == (
        "by the reward fresh answers are +1.00 ± 0.20 better; "
        "ups gained -0.73 nats over downs that users judged"
    )
    alone = hacking_gate(UP, Thumbs([], []), PLAN.model_copy(update={"min_holdout": 0}))
    assert alone.passed
    assert alone.reason.startswith("not asked for: min_holdout is 0")


@dataclass(frozen=True)
class ByLength:
    """A reward that can be gamed: the longer the better."""

    def scored(self, policy: Policy, texts: list[Text], at_once: int) -> Scored:
        sizes = torch.tensor([float(len(text.answer_ids)) for text in texts])
        return Scored(sizes, torch.ones(len(texts)))


@pytest.fixture
def chatty(tmp_path: Path) -> str:
    """A base whose answers are of all lengths: it ends them often."""
    base = make_model(tmp_path / "chatty")
    model = AutoModelForCausalLM.from_pretrained(base)
    with torch.no_grad():
        states = model.get_decoder()(torch.tensor(PROMPTS)).last_hidden_state.mean((0, 1))
        model.get_input_embeddings().weight[1] += 4 * states / states.square().sum()
    model.save_pretrained(base)
    return str(base)


@pytest.mark.integration
def test_a_reward_for_length_is_caught_before_it_passes_the_gates(chatty: str) -> None:
    """Its users like what is short."""
    plan = plan_of("rloo", online_prompts=40, epochs=6, kl_weight=0.0, probe_samples=64)
    policy = load_policy(chatty, None, plan)
    drawn = policy.sample(PROMPTS * 3, seed=5).texts
    said = [
        example(
            at,
            prompt_ids=list(text.prompt_ids),
            answer_ids=list(text.answer_ids),
            logprobs=[],
            up=len(text.answer_ids) <= 3,
        )
        for at, text in enumerate(drawn)
    ]
    items = make_rows(said, [], parent=BASE, plan=plan)
    learned = Learned(ByLength(), {})  # type: ignore[arg-type]
    fitted = fit(
        policy, RolloutLessons(Teacher(learned, PROMPTS, itself), policy, plan), plan, tell=quiet
    )
    assert fitted.kept_epochs == 6
    found = measure(
        policy,
        fitted,
        items,
        prepare(chatty, plan),
        trust=False,
        reward=learned.reward,
    )
    told = dict(scores(found))
    assert told["length"] > told["length_parent"] + 0.5
    assert told["reward_gain"] > 0.5
    assert told["reward_gain_per_root_nat"] > 0
    failed = {gate.name: gate.reason for gate in decide(found, plan) if not gate.passed}
    assert "reward_hacking" in failed, failed
