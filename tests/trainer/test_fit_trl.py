"""TRL's trainers keep the contract of our own loop, and learn the same."""

import logging
import sys
import tomllib
from math import isfinite
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from feedback.events import BASE
from tests.trainer.compared import judged, judged_by_users, plan_of
from tests.trainer.test_fit import Poison
from tests.trainer.test_resume import Killed, killed_at
from tests.trainer.tiny import PLAN, quiet, rated, rated_by_base
from trainer.adapters import verify
from trainer.asking import itself
from trainer.attention import NAME
from trainer.backends import TRL
from trainer.endings import RoundFailed
from trainer.fit import fit
from trainer.fit_trl import fit_trl
from trainer.kinds import ways
from trainer.lessons import Lessons
from trainer.load import load_policy
from trainer.lora_files import WEIGHTS
from trainer.plan import Plan
from trainer.plan_file import BadPlan, check_backend
from trainer.policy import Policy
from trainer.rows import make_rows
from trainer.run import Places, run_round
from trainer.thumb_lessons import KtoLessons, kto_lessons
from trainer.words import load_words

KTO = PLAN.model_copy(update={"backend": "trl", "sft_weight": 0.0})
PLANS = (KTO, *(plan_of(method, backend="trl") for method in ("dpo", "ipo", "sft")))
whole = pytest.mark.integration  # TRL takes seconds to load


def thumbs(policy: Policy, plan: Plan = KTO) -> KtoLessons:
    plan = plan.model_copy(update={"holdout_percent": 0.0})
    rows = make_rows(list(rated(policy, BASE, range(64))), [], parent=BASE, plan=plan).train
    return kto_lessons(policy, rows, plan, trust=True)


def lessons_of(policy: Policy, base: Path, plan: Plan) -> Lessons:
    words, way = load_words(str(base)), ways(plan)
    assert words is not None
    said, read = list(judged(policy, range(120))), words.whole_answer_ids
    # As many as fill their batches: TRL's last one is short, and ours are all of almost one size.
    for count in range(len(said), 0, -1):
        items = way.items(said[:count], [], parent=BASE, plan=plan, tokenize=read)
        if len(items.train) % plan.batch_size == 0:
            return way.lessons(policy, items._replace(replay=[]), plan, trust=True, ask=itself)
    raise AssertionError("no such number of lessons")


@whole
@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.method)
def test_it_learns_what_our_own_loop_learns(base: Path, plan: Plan) -> None:
    plan = plan.model_copy(update={"holdout_percent": 0.0})
    ends = []
    for loop in (fit, fit_trl):
        policy = load_policy(str(base), None, plan)
        ends.append(loop(policy, lessons_of(policy, base, plan), plan, tell=quiet))
    own, theirs = ends
    assert theirs.kept_epochs == own.kept_epochs == plan.epochs
    assert theirs.curves["loss"][0] == pytest.approx(own.curves["loss"][0], abs=1e-5)
    assert len(theirs.curves) == 7  # the loss, and what the drift is of
    for name, curve in theirs.curves.items():
        assert curve == pytest.approx(own.curves[name], abs=1e-3), name
    assert max(own.curves["loss"]) > min(own.curves["loss"]) + 0.3  # there is more than noise


@whole
def test_checkpointed_layers_learn_the_same(base: Path) -> None:
    losses = []
    for checkpointing in (False, True):
        plan = KTO.model_copy(update={"checkpointing": checkpointing})
        policy = load_policy(str(base), None, plan)
        losses.append(fit_trl(policy, thumbs(policy), plan, tell=quiet).curves["loss"])
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)


@whole
def test_what_it_had_of_the_policy_it_gives_back(policy: Policy) -> None:
    before, lessons = policy.weights(), thumbs(policy)
    fit_trl(policy, lessons, KTO, tell=quiet)
    assert policy.weights().keys() == before.keys()
    with policy.lent() as model:
        assert list(model.peft_config) == ["default"]
        assert not [name for name, _ in model.named_parameters() if ".ref." in name]
    assert model.config._attn_implementation == NAME
    assert not model.training
    assert policy.logprobs(lessons.texts, "parent").tolist() == pytest.approx(
        lessons.parent.tolist(), abs=1e-4
    )


@whole
@pytest.mark.parametrize("whose", ["parent", "base"])
def test_where_no_part_is_within_its_budgets_it_is_its_parent_again(
    policy: Policy, whose: str
) -> None:
    tight = KTO.model_copy(update={f"kl_budget_{whose}": 1e-6})
    before = policy.weights()
    fitted = fit_trl(policy, thumbs(policy), tight, tell=quiet)
    assert fitted.kept_epochs == 0
    assert fitted.stopped is not None
    assert fitted.stopped.startswith("epoch 1 reached ")
    assert f"nats from the {whose}; the budget is 1e-06" in fitted.stopped
    assert len(fitted.curves["kl_parent"]) == 1
    assert all(torch.equal(before[name], now) for name, now in policy.weights().items())


@whole
def test_of_a_first_epoch_that_went_too_far_a_part_is_kept(policy: Policy) -> None:
    before = policy.weights()
    (far, *_) = fit_trl(policy, thumbs(policy), KTO, tell=quiet).curves["kl_parent"]
    policy.restore(before)
    tight = KTO.model_copy(update={"kl_budget_parent": far / 2})
    fitted = fit_trl(policy, thumbs(policy), tight, tell=quiet)
    assert 0 < fitted.kept_epochs < 1
    assert fitted.stopped is not None
    assert fitted.stopped.startswith("epoch 1 reached ")
    assert any(not torch.equal(before[name], now) for name, now in policy.weights().items())


@whole
def test_it_tells_how_far_it_is(policy: Policy) -> None:
    told: list[tuple[str, int, int]] = []
    fit_trl(policy, thumbs(policy), KTO, tell=lambda *where: told.append(where))
    expected = [(f"epoch {epoch} of 2", done, 8) for epoch in (1, 2) for done in range(9)]
    assert told == expected


@whole
@pytest.mark.parametrize("done", [3, 8])  # in the middle, and after the last step
def test_it_goes_back_to_the_last_sound_epoch(policy: Policy, done: int) -> None:
    poison = Poison(policy, float("nan"), ("epoch 2 of 3", done))
    plan = KTO.model_copy(update={"epochs": 3})
    fitted = fit_trl(policy, thumbs(policy), plan, tell=poison.tell)
    assert fitted.kept_epochs == 1
    assert fitted.stopped in ("epoch 2: the loss is nan", "epoch 2: a weight is not finite")
    assert all(torch.equal(poison.sound[name], now) for name, now in policy.weights().items())
    assert all(isfinite(value) for curve in fitted.curves.values() for value in curve)


@whole
def test_a_loss_that_is_none_ends_the_round_as_failed(policy: Policy) -> None:
    poison = Poison(policy, float("nan"), ("epoch 1 of 2", 3))
    with pytest.raises(RoundFailed, match="epoch 1: the loss is nan; no epoch was sound"):
        fit_trl(policy, thumbs(policy), KTO, tell=poison.tell)


def test_a_reference_that_is_none_is_not_left_out_in_silence(policy: Policy) -> None:
    lessons = thumbs(policy)
    lessons.parent[3] = float("nan")
    with pytest.raises(RoundFailed, match="epoch 1: parent holds nan; expected finite numbers"):
        fit_trl(policy, lessons, KTO, tell=quiet)


def test_rows_of_other_weights_are_refused(policy: Policy) -> None:
    lessons = thumbs(policy)
    lessons.weights[3] = 0.5
    with pytest.raises(
        RoundFailed, match=r"a verdict weighs 0\.5; expected 1 of each with backend"
    ):
        fit_trl(policy, lessons, KTO, tell=quiet)


def installed(folder: Path, release: str) -> None:
    (folder / f"trl-{release}.dist-info").mkdir()
    (folder / f"trl-{release}.dist-info/METADATA").write_text(f"Name: trl\nVersion: {release}\n")


def test_without_its_trl_one_line_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    told = rf"TRL is {{}}; expected {TRL}: pip install 'thumbwheel\[trl\]'"
    with pytest.raises(BadPlan, match=told.format("not installed")):
        check_backend(KTO)
    check_backend(PLAN)  # which does not ask for it
    installed(tmp_path, "1.15.0")
    with pytest.raises(BadPlan, match=told.format("1.15.0")):
        check_backend(KTO)


def test_the_extra_brings_the_trl_that_is_expected() -> None:
    told = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert f"trl=={TRL}" in told["project"]["optional-dependencies"]["trl"]


@whole
@pytest.mark.parametrize("plan", PLANS[:2], ids=lambda plan: plan.method)
def test_a_round_publishes_an_adapter_like_any_other(places: Places, plan: Plan) -> None:
    judged_by_users(Path(places.base), places.examples, 120)
    ended = run_round(places, BASE, plan, tell=quiet)
    assert ended.outcome == "published", ended.why
    made = verify(places.adapters, "tiny-v1")
    assert made.plan["backend"] == "trl"
    assert made.libraries["trl"] == TRL
    assert made.files.keys() == {"adapter_config.json", WEIGHTS, "lineage.jsonl"}
    folder = places.adapters / "tiny-v1"
    assert not [name for name in load_file(folder / WEIGHTS) if ".ref." in name]
    assert load_policy(places.base, folder, PLAN).is_finite()


@whole
@pytest.mark.parametrize("died", ["own", "trl"])
def test_where_a_round_died_it_begins_anew(
    places: Places, died: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    rated_by_base(Path(places.base), places.examples)
    with pytest.raises(Killed):
        run_round(
            places, BASE, KTO.model_copy(update={"backend": died}), tell=killed_at("epoch 2 of 2")
        )
    told = set[str]()
    run_round(places, BASE, KTO, tell=lambda step, done, of: told.add(step))
    assert {"epoch 1 of 2", "epoch 2 of 2"} <= told
    assert "begins anew" in caplog.text
    assert [path.name for path in places.state.iterdir()] == ["round.lock"]
