"""Online DPO: what is drawn, scored, paired; and whole rounds of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch

from feedback.events import BASE
from tests.trainer.compared import judged as said_of
from tests.trainer.compared import judged_by_users, plan_of
from tests.trainer.tiny import PLAN, quiet, settle
from trainer.adapters import read_lineage
from trainer.asking import itself
from trainer.batch import Text
from trainer.drawn import Drawn, Teacher
from trainer.endings import RoundFailed
from trainer.fit import fit
from trainer.load import load_policy
from trainer.online import OnlineLessons, Rivals, rivals
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.reward import Scored
from trainer.reward_fit import Learned
from trainer.run import Places, run_round

ONLINE = plan_of("online_dpo", epochs=3)
PROMPTS = [(5, 6, 7, 10 + n) for n in range(40)]
ONE, TWO, THREE = (Text((1,), (n,)) for n in (1, 2, 3))


@dataclass(frozen=True)
class EvenLikers:
    """A reward that is known: the share of even ids. It keeps what it was asked."""

    asked: list[list[Text]]

    def scored(self, policy: Policy, texts: Sequence[Text], at_once: int) -> Scored:
        self.asked.append(list(texts))
        return Scored(torch.tensor([even(text) for text in texts]), torch.ones(len(texts)))


@dataclass(frozen=True)
class Indifferent(EvenLikers):
    def scored(self, policy: Policy, texts: Sequence[Text], at_once: int) -> Scored:
        return Scored(torch.zeros(len(texts)), torch.ones(len(texts)))


def even(text: Text) -> float:
    return fmean(token % 2 == 0 for token in text.answer_ids)


def lessons_of(policy: Policy, reward: Any, plan: Plan = ONLINE) -> OnlineLessons:
    return OnlineLessons(
        Teacher(Learned(reward, {"reward_auroc": 0.9}), PROMPTS, itself), policy, plan
    )


def met(texts: list[Text], odds: list[float], each: int) -> list[Rivals]:
    return rivals(Drawn(texts, torch.tensor(odds), None, {}), each)


def test_the_best_answer_of_each_prompt_meets_the_worst() -> None:
    assert met([ONE, TWO, THREE], [0.1, 0.3, -0.2], 3) == [Rivals(TWO, THREE)]
    two = [Rivals(TWO, ONE), Rivals(TWO, ONE)]
    assert met([ONE, TWO, TWO, ONE], [0.1, 0.3, 0.5, 0.4], 2) == two


def test_answers_of_one_reward_are_no_rivals() -> None:
    assert met([ONE, TWO, THREE, ONE], [0.1, 0.1, 0.2, 0.1], 2) == [Rivals(THREE, ONE)]
    assert met([ONE, ONE], [0.1, 0.1 + 5e-7], 2) == []  # the same answer, scored twice


def test_each_epoch_draws_other_answers_to_other_prompts(policy: Policy) -> None:
    reward = EvenLikers([])
    lessons = lessons_of(policy, reward)
    shown = [lessons.renew(policy, epoch, 0.0) for epoch in (0, 1)]
    first, second = ({text.prompt_ids for text in asked} for asked in reward.asked)
    assert len(first) == len(second) == ONLINE.online_prompts
    assert first != second
    assert all(len(asked) == 12 * ONLINE.answers_per_prompt for asked in reward.asked)
    assert 0 < len(lessons) <= 12
    assert {text.prompt_ids for text in lessons.texts} == second
    assert shown[0]["reward"] == pytest.approx(fmean(map(even, reward.asked[0])), abs=1e-6)
    assert shown[0].keys() == {
        *("reward_auroc", "reward", "reward_trust", "answer_tokens", "prompts_with_rivals")
    }


def test_what_is_drawn_depends_on_the_epoch_alone(policy: Policy) -> None:
    """So a round that died goes on as if it never had."""
    one, two = EvenLikers([]), EvenLikers([])
    lessons_of(policy, one).renew(policy, 3, 0.0)
    other = lessons_of(policy, two)
    for epoch in (0, 3):
        other.renew(policy, epoch, 0.0)
    assert two.asked[-1] == one.asked[-1]


def test_without_rivals_the_round_fails_with_its_reason(policy: Policy) -> None:
    with pytest.raises(RoundFailed, match="no two answers to any prompt differ in their reward"):
        lessons_of(policy, Indifferent([])).renew(policy, 0, 0.0)


def test_the_best_of_n_is_imitated_alone(policy: Policy) -> None:
    reward = EvenLikers([])
    plan = plan_of("best_of_n")
    lessons = lessons_of(policy, reward, plan)
    lessons.renew(policy, 0, 0.0)
    groups = [list(group) for _, group in groupby(reward.asked[0], lambda text: text.prompt_ids)]
    differ = [group for group in groups if max(map(even, group)) > min(map(even, group))]
    best = [max(group, key=lambda text: (even(text), text)) for group in differ]
    shown = lessons.losses(policy, range(len(best))).shown
    assert shown.keys() == {"sft"}
    tokens = sum(len(text.answer_ids) for text in best)
    assert shown["sft"].item() == pytest.approx(-policy.logprobs(best).sum().item() / tokens)


@pytest.mark.parametrize("method", ["online_dpo", "best_of_n"])
def test_the_drift_is_known_however_few_prompts_have_rivals(policy: Policy, method: str) -> None:
    plan = plan_of(method, online_prompts=1, epochs=1)
    fitted = fit(policy, lessons_of(policy, EvenLikers([]), plan), plan, tell=quiet)
    assert (fitted.kept_epochs, fitted.stopped) == (1, None)


@dataclass(frozen=True)
class SoonIndifferent(EvenLikers):
    def scored(self, policy: Policy, texts: Sequence[Text], at_once: int) -> Scored:
        found = super().scored(policy, texts, at_once)
        return found if len(self.asked) == 1 else found._replace(odds=found.odds * 0)


def test_where_there_is_nothing_more_to_learn_what_was_learned_stands(policy: Policy) -> None:
    plan = ONLINE.model_copy(update={"learning_rate": 1e-3})
    fitted = fit(policy, lessons_of(policy, SoonIndifferent([]), plan), plan, tell=quiet)
    assert fitted.kept_epochs == 1
    assert fitted.stopped
    assert fitted.stopped.startswith("epoch 2: no two answers to any prompt differ in their reward")


@pytest.mark.integration
def test_the_policy_comes_to_say_what_the_reward_likes(policy: Policy) -> None:
    def share() -> float:
        return fmean(even(text) for text in policy.sample(PROMPTS * 5, seed=99).texts)

    before = share()
    much = {"epochs": 6, "online_prompts": 40, "learning_rate": 2e-2, "sft_weight": 0.3}
    plan = ONLINE.model_copy(update=much)
    fitted = fit(policy, lessons_of(policy, EvenLikers([]), plan), plan, tell=quiet)
    assert fitted.kept_epochs == 6, fitted.stopped
    assert share() > before + 0.08
    assert len(fitted.curves["reward"]) == len(fitted.curves["kl_parent"]) == 6
    assert fitted.curves["reward"][-1] > fitted.curves["reward"][0] + 0.05
    assert {"dpo", "sft"} <= fitted.curves.keys()


@pytest.fixture
def judged(base: Path, places: Places) -> Places:
    judged_by_users(base, places.examples, 120)
    return places


@pytest.mark.integration
def test_a_round_learns_a_reward_of_all_verdicts_and_of_that_the_policy(judged: Places) -> None:
    made = run_round(judged, BASE, ONLINE, tell=quiet).manifest
    assert made is not None
    assert made.plan["method"] == "online_dpo"
    assert len(made.curves["reward"]) == len(made.curves["reward_auroc"]) == 3
    assert {"drift", "kl_weight"}.isdisjoint(made.curves)  # kl_weight is off
    assert sum(made.counts.values()) == 160  # of thumbs, comparisons and corrections
    reasons = {gate.name: gate.reason for gate in made.gates}
    assert "ups and" in reasons["held_out"] or "pairs held out" in reasons["held_out"]
    lineage = read_lineage(judged.adapters, "tiny-v1")
    assert any(one.completion_id.endswith(".1") for one in lineage)  # rivals too
    assert all(one.completion_id for one in lineage)  # nothing that was drawn


@pytest.mark.integration
def test_the_next_round_learns_its_reward_of_what_the_adapter_said(judged: Places) -> None:
    run_round(judged, BASE, ONLINE, tell=quiet)
    parent = load_policy(judged.base, judged.adapters / "tiny-v1", PLAN)
    settle(judged.examples, [*said_of(parent, range(120, 240), "tiny-v1")], start=120, end=240)
    made = run_round(judged, "tiny-v1", ONLINE, tell=quiet).manifest
    assert made is not None
    assert made.parent == "tiny-v1"
    assert len(made.curves["reward"]) == len(made.curves["reward_auroc"]) == 3
    assert made.scores["logprob_gap"] < 1e-5
    assert made.kl["parent"] != made.kl["base"]
    uses = [
        (one.use, int(one.completion_id.strip("c").split(".")[0]) % 1000)
        for one in read_lineage(judged.adapters, "tiny-v2")
    ]
    assert {use for use, _ in uses} == {"train", "replay", "holdout"}
    assert all((number >= 120) is (use == "train") for use, number in uses if use != "holdout")
