"""Whole rounds that hear an AI beside the users, on a tiny model and a real judge over HTTP."""

from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from feedback.events import BASE
from tests.trainer.compared import judged_by_users, plan_of
from tests.trainer.judge_server import JudgeServer, judging
from tests.trainer.test_resume import Killed, killed_at
from tests.trainer.tiny import quiet
from trainer.adapters import read_lineage
from trainer.manifest import Manifest
from trainer.plan import Plan
from trainer.rubric import Case
from trainer.run import Places, run_round

pytestmark = pytest.mark.integration  # a dozen rounds


@pytest.fixture(scope="module")
def said(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Examples. Not to be changed."""
    folder = tmp_path_factory.mktemp("said")
    judged_by_users(base, folder, 120)
    return folder


@pytest.fixture
def rated(said: Path, places: Places) -> Places:
    copytree(said, places.examples)
    return places


def shorter(case: Case) -> str:
    return "A" if len(case.first) < len(case.second) else "B"


def made(places: Places, plan: Plan) -> Manifest:
    ended = run_round(places, BASE, plan, tell=quiet)
    assert ended.manifest is not None, ended.why
    return ended.manifest


def judged_plan(method: str, **changes: Any) -> Plan:
    return plan_of(method, judged_pairs=12, **changes)


@pytest.mark.parametrize("method", ["dpo", "online_dpo", "rloo"])
def test_a_judge_teaches_beside_the_users(rated: Places, method: str) -> None:
    with judging(shorter) as judge:
        places = rated_by(rated, judge)
        alone = made(rated, plan_of(method))
        beside = made(places, judged_plan(method))
    assert len(judge.asked) == 24
    told = {name: n for name, n in beside.counts.items() if name.startswith("judged")}
    assert told["judged: labels"] > 6
    assert sum(told.values()) == 12
    assert {k: n for k, n in beside.counts.items() if k not in told} == alone.counts
    assert beside.dataset_digest == alone.dataset_digest
    assert beside.files != alone.files
    lineages = [read_lineage(places.adapters, one.name) for one in (alone, beside)]
    assert lineages[0] == lineages[1]
    assert all(one.completion_id and one.user for one in lineages[1])


def rated_by(places: Places, judge: JudgeServer) -> Places:
    return Places(**(vars(places) | {"judge": judge.at}))


def test_a_round_with_a_judge_that_died_goes_on_and_asks_nothing_twice(rated: Places) -> None:
    plan = judged_plan("dpo", epochs=3)
    with judging(shorter) as judge:
        places = rated_by(rated, judge)
        calm = made(places, plan)
        (places.state / "judged.db").unlink()
        with pytest.raises(Killed):
            run_round(places, BASE, plan, tell=killed_at("judge", 8))
        asked = len(judge.asked)
        with pytest.raises(Killed):
            run_round(places, BASE, plan, tell=killed_at("epoch 3 of 3", 1))
        judge.taste = lambda case: "tie"  # nobody asks it
        again = made(places, plan)
    assert asked == 24 + 16
    assert len(judge.asked) == 24 + 24
    assert (again.files, again.counts, again.curves) == (calm.files, calm.counts, calm.curves)
    assert sorted(path.name for path in places.state.iterdir()) == ["judged.db", "round.lock"]
