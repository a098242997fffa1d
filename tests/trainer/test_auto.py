"""A plan that leaves the method to what users said."""

from pathlib import Path
from typing import Any

import pytest
import torch

from feedback.events import BASE
from tests.trainer.tiny import PLAN, example, quiet, rated_by_base, settle
from trainer.auto import settled
from trainer.checkpoint import Checkpoint, Mark
from trainer.course import digest_of
from trainer.learner import State
from trainer.plan import Plan
from trainer.resume import with_method
from trainer.run import Places, run_round


def auto(**changes: object) -> Plan:
    return Plan.model_validate({"method": "auto", "min_rows": 20} | changes)


def thumbs(places: Places, count: int, start: int = 0) -> None:
    numbers = range(start, start + count)
    rows = [example(n, up=n % 3 > 0, prompt_ids=[1, 5 + n]) for n in numbers]
    settle(places.examples, rows, start=start, end=start + count)


@pytest.mark.parametrize(("count", "method"), [(10, "kto"), (60, "kto"), (240, "rloo")])
def test_it_becomes_what_is_recommended(places: Places, count: int, method: str) -> None:
    thumbs(places, count)
    assert settled(places, BASE, auto()).plan.method == method


def test_only_what_the_method_reads_is_kept(places: Places) -> None:
    dials = {"beta": 0.5, "sft_weight": 2.0, "balance": "none", "answers_per_prompt": 8}
    thumbs(places, 60)
    kto = settled(places, BASE, auto(**dials)).plan
    assert (kto.beta, kto.sft_weight, kto.balance, kto.answers_per_prompt) == (0.5, 2.0, "none", 4)
    thumbs(places, 180, start=60)
    rloo = settled(places, BASE, auto(**dials)).plan
    assert (rloo.method, rloo.beta, rloo.sft_weight, rloo.answers_per_prompt) == (
        "rloo",
        0.1,
        0.0,
        8,
    )
    assert rloo.min_rows == 20
    assert rloo.kl_weight > 0  # the method's own


def test_any_other_plan_stays_as_it_is(places: Places) -> None:
    assert with_method(places, BASE, PLAN, Checkpoint(places.state)) is PLAN


@pytest.mark.integration
def test_the_manifest_says_what_it_became(base: Path, places: Places) -> None:
    rated_by_base(base, places.examples)
    fields = PLAN.model_dump(exclude_unset=True) | {"method": "auto"}
    made = run_round(places, BASE, Plan.model_validate(fields), tell=quiet).manifest
    assert made is not None
    assert made.plan["method"] == "kto"
    assert made.plan["beta"] == PLAN.beta


def died(places: Places, plan: Plan, parent: str = BASE) -> Checkpoint:
    """A round of this plan that had read 60 thumbs, before 180 more settled."""
    thumbs(places, 60)
    until = {"completions/0": 60, "verdicts/0": 60}
    found = Checkpoint(places.state)
    places.state.mkdir(parents=True)
    digest = digest_of(settled(places, BASE, plan, until).plan)
    mark = Mark(places.base, parent, digest, until, "of its data")
    found.save(mark, State(1, {}, {}, {}, {}, 0.0, None, torch.zeros(1), []))
    thumbs(places, 180, start=60)
    return found


def test_a_round_that_died_stays_what_it_was_to_be(places: Places) -> None:
    checkpoint = died(places, auto())
    assert with_method(places, BASE, auto(), checkpoint).method == "kto"
    assert with_method(places, BASE, auto(), Checkpoint(places.state / "none")).method == "rloo"


@pytest.mark.parametrize("other", [{"plan": auto(seed=1)}, {"parent": "tiny-v1"}])
def test_a_round_that_will_not_go_on_decides_nothing(
    places: Places, other: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = died(places, **{"plan": auto()} | other)
    with caplog.at_level("INFO", "trainer"):
        assert with_method(places, BASE, auto(), checkpoint).method == "rloo"
    assert [record.message[:12] for record in caplog.records] == ["method rloo:"]


def test_what_it_leaves_out_of_the_plan_is_told(
    places: Places, caplog: pytest.LogCaptureFixture
) -> None:
    thumbs(places, 60)
    plan = auto(constitution="ours", rewritten_answers=3, beta=0.5)
    assert with_method(places, BASE, plan, Checkpoint(places.state)).rewritten_answers == 0
    told = "left out of the plan, for kto reads none of it: constitution, rewritten_answers"
    assert caplog.messages[-1] == told
