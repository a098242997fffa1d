"""Whole rounds by every method, on what the same users said of the same answers."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import pytest

from feedback.events import BASE
from tests.trainer.compared import METHODS, plan_of
from tests.trainer.test_resume import Killed, killed_at
from tests.trainer.tiny import quiet
from trainer.adapters import read_lineage
from trainer.course import Course, read_course
from trainer.load import load_policy
from trainer.methods import ROLLOUTS
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.run import Places, Round, run_round
from trainer.words import load_words

pytestmark = pytest.mark.integration  # a dozen rounds


def course_of(places: Places, plan: Plan) -> Course:
    words = load_words(places.base)
    assert words is not None
    return read_course(places, BASE, plan, words.whole_answer_ids)


def preference(policy: Policy, plan: Plan, items: Sequence[Any]) -> float:
    """How much more the better answers gained on the parent than the others, on average."""

    def gains(item: Any) -> list[float]:
        texts = [answer.text for answer in item.answers]
        return (policy.logprobs(texts) - policy.logprobs(texts, "base")).tolist()

    if plan.method == "sft":  # it knows of nothing but liked answers
        return fmean(gains(row)[0] for row in items)
    if plan.method == "kto":
        sides = {up: [gains(row)[0] for row in items if row.liked is up] for up in (True, False)}
        return fmean(sides[True]) - fmean(sides[False])
    return fmean(lead for item in items for lead in item.leads(gains(item)))


@pytest.mark.parametrize("method", METHODS)
def test_a_round_by_every_method_learns_what_users_prefer(judged: Places, method: str) -> None:
    plan = plan_of(method)
    ended = run_round(judged, BASE, plan, tell=quiet)
    assert ended.manifest is not None, ended.why
    assert ended.manifest.plan["method"] == method
    assert {method, "sft", "loss"} <= ended.manifest.curves.keys()
    policy = load_policy(judged.base, judged.adapters / "tiny-v1", plan)
    items = course_of(judged, plan).items
    assert preference(policy, plan, items.train) > 1
    used = {name: n for name, n in ended.manifest.counts.items() if name != "shortened"}
    assert sum(used.values()) == 160
    again = run_round(judged, BASE, plan, tell=quiet).manifest
    assert again is not None
    assert again.files == ended.manifest.files


@pytest.mark.parametrize("method", ["dpo", "rrhf", "sft", "online_dpo", "ppo", "rloo"])
def test_a_round_of_any_kind_goes_on_where_it_died(judged: Places, method: str) -> None:
    plan = plan_of(method, epochs=3, kl_weight=0.01)
    calm = run_round(judged, BASE, plan, tell=quiet).manifest
    with pytest.raises(Killed):
        run_round(judged, BASE, plan, tell=killed_at("epoch 3 of 3", 1))
    told = set[str]()
    made = run_round(judged, BASE, plan, tell=lambda step, done, of: told.add(step)).manifest
    assert calm is not None and made is not None
    assert "epoch 2 of 3" not in told
    assert (made.files, made.curves) == (calm.files, calm.curves)
    assert ("drift" in made.curves) is (method not in ROLLOUTS)  # those pay for it in rewards


@pytest.mark.parametrize("method", ["dpo", "rrhf"])
def test_lineage_names_the_users_of_all_answers(judged: Places, method: str) -> None:
    run_round(judged, BASE, plan_of(method), tell=quiet)
    items = course_of(judged, plan_of(method)).items
    lineage = read_lineage(judged.adapters, "tiny-v1")
    expected = {
        who for part in (items.train, items.holdout) for item in part for who in item.people
    }
    assert {(one.completion_id, one.user) for one in lineage} == expected
    assert len(lineage) == len(expected)
    assert any(one.completion_id.endswith(".1") for one in lineage)  # rivals too


def test_a_round_without_pairs_says_what_is_missing(judged: Places) -> None:
    ended = run_round(judged, BASE, plan_of("dpo", min_rows=500), tell=quiet)
    few = len(course_of(judged, plan_of("dpo")).items.train)
    assert ended == Round("too_few", f"{few} pairs to train on; expected 500", None)
    alone = run_round(judged, BASE, plan_of("rrhf", min_holdout=500), tell=quiet)
    held = len(course_of(judged, plan_of("rrhf")).items.holdout)
    assert alone.why == f"{held} rankings held out; expected 500 (min_holdout)"


def test_the_gates_judge_held_out_pairs_by_pairs(judged: Places) -> None:
    made = run_round(judged, BASE, plan_of("dpo"), tell=quiet).manifest
    assert made is not None
    reasons = {gate.name: gate.reason for gate in made.gates}
    held = len(course_of(judged, plan_of("dpo")).items.holdout)
    assert reasons["held_out"].endswith(f"{held} pairs held out")
    assert 0 <= made.scores["held_out_accuracy"] <= 1
