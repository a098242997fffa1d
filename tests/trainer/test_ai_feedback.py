"""Whole rounds that hear an AI beside the users, on a tiny model and a real judge over HTTP."""

from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from feedback.events import BASE
from tests.trainer.compared import plan_of
from tests.trainer.judge_server import JudgeServer, judging
from tests.trainer.test_resume import Killed, killed_at
from tests.trainer.tiny import quiet
from trainer.adapters import read_lineage
from trainer.batch import Text
from trainer.checkpoint import Checkpoint
from trainer.endings import RoundFailed
from trainer.guide import BadGuide
from trainer.launch import start
from trainer.load import load_policy
from trainer.manifest import Manifest
from trainer.plan import Plan
from trainer.rubric import Case
from trainer.run import Places, run_round

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("no_proxy")]  # a dozen rounds


def shorter(case: Case) -> str:
    return "A" if len(case.first) < len(case.second) else "B"


def rated_by(places: Places, judge: JudgeServer) -> Places:
    return Places(**(vars(places) | {"judge": judge.at}))


def made(places: Places, plan: Plan) -> Manifest:
    ended = run_round(places, BASE, plan, tell=quiet)
    assert ended.manifest is not None, ended.why
    return ended.manifest


def judged_plan(method: str, **changes: Any) -> Plan:
    return plan_of(method, judged_pairs=12, **changes)


@pytest.mark.parametrize("method", ["dpo", "online_dpo", "rloo"])
def test_a_judge_teaches_beside_the_users(judged: Places, method: str) -> None:
    with judging(shorter) as judge:
        places = rated_by(judged, judge)
        alone = made(judged, plan_of(method))
        beside = made(places, judged_plan(method))
    assert len(judge.asked) == 24
    told = {name: n for name, n in beside.counts.items() if name.startswith("judged")}
    assert told["judged: labels"] > 6
    assert sum(told.values()) == 12
    assert {k: n for k, n in beside.counts.items() if k not in told} == alone.counts
    assert beside.advisers.keys() == {"judge", "judge_rubric"}
    assert alone.advisers == {}
    assert beside.dataset_digest == alone.dataset_digest
    assert beside.files != alone.files
    lineages = [read_lineage(places.adapters, one.name) for one in (alone, beside)]
    assert lineages[0] == lineages[1]
    assert all(one.completion_id and one.user for one in lineages[1])


def test_a_round_with_a_judge_that_died_goes_on_and_asks_nothing_twice(judged: Places) -> None:
    plan = judged_plan("dpo", epochs=3)
    with judging(shorter) as judge:
        places = rated_by(judged, judge)
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


def test_what_a_judge_likes_better_gains_on_what_it_likes_less(judged: Places) -> None:
    plan = plan_of("dpo", judged_pairs=40, ai_weight=0.9)
    with judging(shorter) as judge:
        places = rated_by(judged, judge)
        with pytest.raises(Killed):
            run_round(places, BASE, plan, tell=killed_at("gates"))
        kept = Checkpoint(places.state).labels()["told"]["judge"][0]
        beside, alone = (made(*one).name for one in ((places, plan), (judged, plan_of("dpo"))))
    texts = [Text(tuple(prompt), tuple(answer)) for two in kept for prompt, answer in two]

    def lead(name: str) -> float:
        policy = load_policy(judged.base, judged.adapters / name, plan)
        gains = policy.logprobs(texts) - policy.logprobs(texts, "base")
        return (gains[::2] - gains[1::2]).mean().item()

    assert len(texts) > 40
    assert lead(beside) > lead(alone) + 1


def test_a_judge_that_likes_whatever_stands_first_teaches_nothing(judged: Places) -> None:
    with judging(lambda case: "A") as judge:
        places = rated_by(judged, judge)
        alone = made(judged, plan_of("dpo"))
        beside = made(places, judged_plan("dpo"))
    assert beside.counts == alone.counts | {"judged: by position": 12}
    assert beside.files == alone.files


def test_the_model_rewrites_its_own_answers_by_a_constitution(
    judged: Places, tmp_path: Path
) -> None:
    (tmp_path / "principles").write_text("Be kind.\nBe brief.\n")
    fields = {"constitution": str(tmp_path / "principles"), "rewritten_answers": 24}
    plan = plan_of("dpo", max_new_tokens=64, **fields)
    beside = made(judged, plan)
    told = {name: n for name, n in beside.counts.items() if name.startswith("rewritten")}
    assert told["rewritten: labels"] > 0
    assert told["rewritten: cut off"] > 0
    assert sum(told.values()) == 24
    assert beside.files != made(judged, plan_of("dpo", max_new_tokens=64)).files
    assert beside.files == made(judged, plan).files
    assert all(one.completion_id and one.user for one in read_lineage(judged.adapters, "tiny-v1"))


def test_the_manifest_of_a_round_that_died_names_what_taught_it(
    judged: Places, tmp_path: Path
) -> None:
    principles = tmp_path / "principles"
    principles.write_text("Be kind.\n")
    fields = {"constitution": str(principles), "rewritten_answers": 4, "epochs": 3}
    calm = made(judged, plan_of("dpo", **fields))
    with pytest.raises(Killed):
        run_round(judged, BASE, plan_of("dpo", **fields), tell=killed_at("epoch 3 of 3", 1))
    principles.write_text("Be brief.\n")
    again = made(judged, plan_of("dpo", **fields))
    assert again.advisers == calm.advisers
    anew = made(judged, plan_of("dpo", **fields))
    assert anew.advisers.keys() == calm.advisers.keys() == {"constitution"}
    assert anew.advisers != calm.advisers


def test_a_judge_of_whom_nothing_is_learned_is_told_of(
    judged: Places, caplog: pytest.LogCaptureFixture
) -> None:
    with judging(lambda case: "A") as judge:
        run_round(rated_by(judged, judge), BASE, judged_plan("dpo"), tell=quiet)
    assert "nothing was learned of what the judge said: judged: by position 1" in caplog.text


def test_of_several_processes_one_asks_and_all_hear(judged: Places, tmp_path: Path) -> None:
    (tmp_path / "principles").write_text("Be kind.\n")
    fields = {"constitution": str(tmp_path / "principles"), "rewritten_answers": 4, "processes": 2}
    with judging(shorter) as judge:
        ended = start(rated_by(judged, judge), BASE, judged_plan("dpo", **fields))
    assert len(judge.asked) == 24
    assert ended.manifest is not None
    told = {k: n for k, n in ended.manifest.counts.items() if ": " in k and "dropped" not in k}
    assert sum(told.values()) == 16
    assert told["judged: labels"] > 6


def test_a_judge_that_says_no_fails_the_round_and_nothing_is_published(judged: Places) -> None:
    told = pytest.raises(RoundFailed, match=r"/v1/chat/completions answered 401: who are you")
    with judging(shorter, lambda asked: (401, {}, "who are you?")) as judge, told:
        run_round(rated_by(judged, judge), BASE, judged_plan("dpo"), tell=quiet)
    assert not judged.adapters.exists()


def test_without_a_judge_or_words_no_round_begins(judged: Places, tmp_path: Path) -> None:
    def refused(places: Places, plan: Plan, error: type[Exception], why: str) -> None:
        with pytest.raises(error, match=why):
            run_round(places, BASE, plan, tell=killed_at("examples and model", 1))

    (tmp_path / "principles").write_text("Be kind.\n")
    principles = str(tmp_path / "principles")
    rewriting = plan_of("dpo", constitution=principles, rewritten_answers=4)
    refused(judged, judged_plan("dpo"), BadGuide, "judged_pairs is 12 and there is no judge")
    gone = rewriting.model_copy(update={"constitution": f"{principles}.gone"})
    refused(judged, gone, BadGuide, "constitution is .*gone'; expected a text file")
    mute = Path(copytree(judged.base, tmp_path / "mute"))
    (mute / "chat_template.jinja").unlink()
    spoken_to = Places(**(vars(judged) | {"base": str(mute)}))
    why = "rewritten_answers is 4; expected a chat template"
    refused(spoken_to, rewriting, RoundFailed, why)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (mute / name).unlink()
    refused(spoken_to, rewriting, RoundFailed, "the base model has no tokenizer")
