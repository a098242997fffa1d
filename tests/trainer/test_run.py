"""Whole rounds on a tiny model, real files and real torch."""

import re
from pathlib import Path
from shutil import copytree

import pytest
import torch

from feedback.events import BASE
from feedback.examples import read
from tests.trainer.tiny import PLAN, quiet, rated, rated_by_base, settle
from trainer.adapters import CorruptAdapter, load, published, read_lineage, verify
from trainer.endings import RoundFailed
from trainer.golden import BadGolden
from trainer.load import load_policy
from trainer.lock import RoundRunning, only_one
from trainer.lora_files import WEIGHTS
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.reserved import held_out
from trainer.run import Places, Round, run_round

pytestmark = pytest.mark.integration  # a dozen seconds of training


@pytest.fixture(scope="module")
def first(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Places, Round]:
    """The round that made tiny-v1. Not to be changed."""
    home = tmp_path_factory.mktemp("first")
    places = Places(
        base=str(base),
        series="tiny",
        examples=home / "examples",
        adapters=home / "adapters",
        state=home / "state",
    )
    rated_by_base(base, places.examples)
    return places, run_round(places, BASE, PLAN, tell=quiet)


@pytest.fixture
def after_first(first: tuple[Places, Round], places: Places) -> Places:
    """A copy of what the first round left, to go on from."""
    copytree(first[0].examples, places.examples)
    copytree(first[0].adapters, places.adapters)
    return places


def test_a_round_publishes_an_adapter_that_says_where_it_came_from(
    first: tuple[Places, Round],
) -> None:
    places, ended = first
    manifest = verify(places.adapters, "tiny-v1")
    assert ended.outcome == "published", ended.why
    assert ended.manifest == manifest
    assert (manifest.parent, manifest.base) == (BASE, places.base)
    assert manifest.watermark == {"completions/0": 96, "verdicts/0": 96}
    assert manifest.plan == PLAN.model_dump(mode="json")
    assert manifest.counts["train"] + manifest.counts["holdout"] == 96
    assert manifest.passed
    assert manifest.kl["parent"].n == PLAN.probe_samples
    assert manifest.kl["parent"] == manifest.kl["base"]
    assert manifest.scores["logprob_gap"] < 1e-5
    assert manifest.files.keys() == {"adapter_config.json", WEIGHTS, "lineage.jsonl"}
    assert manifest.libraries.keys() == {"torch", "transformers", "peft"}
    assert manifest.seconds > 0


def test_lineage_names_every_completion_and_user(first: tuple[Places, Round]) -> None:
    lineage = read_lineage(first[0].adapters, "tiny-v1")
    assert {lesson.completion_id for lesson in lineage} == {f"c{number}" for number in range(96)}
    for lesson in lineage:
        assert (lesson.use == "holdout") == held_out(lesson.user, PLAN.holdout_percent)


def test_the_same_plan_and_examples_give_the_same_bytes(after_first: Places) -> None:
    run_round(after_first, BASE, PLAN, tell=quiet)
    one, two = (load(after_first.adapters, name) for name in ("tiny-v1", "tiny-v2"))
    assert one.files == two.files
    assert one.dataset_digest == two.dataset_digest


def test_a_round_continues_its_parent_from_the_parents_watermark(after_first: Places) -> None:
    places = after_first
    parent = load_policy(places.base, places.adapters / "tiny-v1", PLAN)
    settle(places.examples, list(rated(parent, "tiny-v1", range(96, 180))), start=96, end=180)
    made = run_round(places, "tiny-v1", PLAN, tell=quiet).manifest
    assert made is not None
    assert made.parent == "tiny-v1"
    assert made.watermark == {"completions/0": 180, "verdicts/0": 180}
    assert made.scores["logprob_gap"] < 1e-5
    assert made.kl["parent"] != made.kl["base"]
    uses = {lesson.completion_id: lesson.use for lesson in read_lineage(places.adapters, "tiny-v2")}
    trained = {name for name, use in uses.items() if use == "train"}
    replayed = {name for name, use in uses.items() if use == "replay"}
    assert trained <= {f"c{number}" for number in range(96, 180)}
    assert replayed <= {f"c{number}" for number in range(96)}
    assert len(replayed) == PLAN.replay


def test_what_was_taken_back_is_not_replayed(after_first: Places) -> None:
    places = after_first
    parent = load_policy(places.base, places.adapters / "tiny-v1", PLAN)
    back = [row._replace(retracted=True) for row in read(places.examples).examples]
    new = list(rated(parent, "tiny-v1", range(96, 180)))
    settle(places.examples, [*back, *new], start=96, end=180)
    run_round(places, "tiny-v1", PLAN, tell=quiet)
    numbers = [int(one.completion_id[1:]) for one in read_lineage(places.adapters, "tiny-v2")]
    assert min(numbers) == 96


def test_a_candidate_that_fails_a_gate_is_published_with_its_reasons(after_first: Places) -> None:
    tight = PLAN.model_copy(update={"kl_budget_parent": 1e-6})
    ended = run_round(after_first, BASE, tight, tell=quiet)
    assert ended.outcome == "gated"
    assert "learned: 0 epochs kept; epoch 1 reached" in ended.why
    assert not load(after_first.adapters, "tiny-v2").passed


def test_of_a_round_that_went_too_far_a_part_is_published(
    first: tuple[Places, Round], after_first: Places
) -> None:
    assert first[1].manifest
    far = first[1].manifest.curves["kl_parent"][0]
    tight = PLAN.model_copy(update={"epochs": 1, "kl_budget_parent": far / 2})
    ended = run_round(after_first, BASE, tight, tell=quiet)
    assert ended.outcome == "published", ended.why
    assert ended.manifest
    learned = ended.manifest.gates[0].reason
    assert re.match(r"0\.\d+ epochs kept; epoch 1 reached .* nats from the parent; the", learned)


def test_a_twin_of_its_parent_is_no_candidate(after_first: Places) -> None:
    parent = load_policy(after_first.base, after_first.adapters / "tiny-v1", PLAN)
    rows = list(rated(parent, "tiny-v1", range(96, 180)))
    settle(after_first.examples, rows, start=96, end=180)
    slow = PLAN.model_copy(update={"learning_rate": 1e-9})
    ended = run_round(after_first, "tiny-v1", slow, tell=quiet)
    assert ended.outcome == "gated"
    assert ended.why.startswith("learned: 2 epochs kept; it answers as its parent does, ")


def golden(places: Places, line: str) -> Plan:
    path = places.state.parent / "golden.jsonl"
    path.write_text(line)
    return PLAN.model_copy(update={"golden": str(path)})


def test_a_round_with_golden_prompts_has_gates_of_them(after_first: Places) -> None:
    checks = '"matches": "^", "refuses": false, "answer": "water"'
    plan = golden(after_first, f'{{"id": "egg", "prompt": "how do I boil an egg", {checks}}}')
    plan = plan.model_copy(update={"max_golden_answer_drop": 50.0})
    ended = run_round(after_first, BASE, plan, tell=quiet)
    assert ended.outcome == "published", ended.why
    manifest = load(after_first.adapters, "tiny-v2")
    names = {gate.name for gate in manifest.gates}
    assert {"golden", "over_refusal", "golden_answers"} <= names
    assert "under_refusal" not in names
    assert manifest.scores["golden_token_logprob"] != manifest.scores["golden_token_logprob_parent"]


def test_a_candidate_that_fails_golden_prompts_is_kept_and_not_passed(after_first: Places) -> None:
    plan = golden(after_first, '{"id": "egg", "prompt": "how", "answer": "water for minutes"}')
    strict = plan.model_copy(update={"max_golden_answer_drop": 0.0, "refusal_phrases": ("x",)})
    ended = run_round(after_first, BASE, strict, tell=quiet)
    assert ended.manifest is not None
    found = {gate.name: gate.passed for gate in ended.manifest.gates}
    scores = ended.manifest.scores
    fell = scores["golden_token_logprob"] < scores["golden_token_logprob_parent"]
    assert fell, "the round made these words likelier: choose others"
    assert (ended.outcome, found["golden_answers"]) == ("gated", False)
    assert (after_first.adapters / "tiny-v2" / WEIGHTS).exists()
    assert not load(after_first.adapters, "tiny-v2").passed


def test_broken_golden_prompts_end_a_round_before_it_trains(after_first: Places) -> None:
    told: list[str] = []
    plan = golden(after_first, '{"id": "egg", "prompt": "how", "refuse": true}')
    with pytest.raises(BadGolden, match=r"golden\.jsonl', line 1: refuse: Extra inputs"):
        run_round(after_first, BASE, plan, tell=lambda step, done, of: told.append(step))
    assert told == ["examples and model"]
    assert [made.name for made in published(after_first.adapters)] == ["tiny-v1"]


def test_a_round_of_few_steps_says_so(
    after_first: Places, caplog: pytest.LogCaptureFixture
) -> None:
    few = PLAN.model_copy(update={"epochs": 1, "warmup_steps": 100})
    assert run_round(after_first, BASE, few, tell=quiet).manifest
    assert "its learning rate rises for 100 (warmup_steps): little can be learned" in caplog.text
    caplog.clear()
    assert run_round(after_first, BASE, PLAN, tell=quiet).manifest
    assert "warmup_steps" not in caplog.text


def test_too_few_rows_spend_no_name(places: Places) -> None:
    rated_by_base(Path(places.base), places.examples, count=8)
    ended = run_round(places, BASE, PLAN, tell=quiet)
    assert ended.outcome == "too_few"
    assert not places.adapters.exists()


def test_a_parent_whose_files_changed_is_not_continued(after_first: Places) -> None:
    (after_first.adapters / "tiny-v1" / WEIGHTS).write_bytes(b"other")
    with pytest.raises(CorruptAdapter):
        run_round(after_first, "tiny-v1", PLAN, tell=quiet)


def test_two_rounds_never_run_at_once(places: Places) -> None:
    with only_one(places.state), pytest.raises(RoundRunning, match=r"round\.lock"):
        run_round(places, BASE, PLAN, tell=quiet)


def test_weights_that_are_no_numbers_are_never_saved(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    rated_by_base(Path(places.base), places.examples)
    looked: list[Policy] = []

    def is_finite(policy: Policy) -> bool:
        looked.append(policy)
        return all(bool(tensor.isfinite().all()) for tensor in policy.parameters())

    def tell(step: str, done: int, of: int) -> None:
        if (step, done) == ("gates", 1):
            with torch.no_grad():
                looked[0].parameters()[0].fill_(float("nan"))

    monkeypatch.setattr(Policy, "is_finite", is_finite)
    with pytest.raises(RoundFailed, match="a weight is not finite"):
        run_round(places, BASE, PLAN, tell=tell)
    assert not places.adapters.exists()


class Killed(BaseException):
    """Nobody catches it, so what it leaves on disk is what kill -9 leaves."""


def test_a_kill_between_training_and_publishing_leaves_nothing(
    after_first: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(policy: Policy, folder: Path) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Policy, "save", killed)
        run_round(after_first, BASE, PLAN, tell=quiet)
    assert [made.name for made in published(after_first.adapters)] == ["tiny-v1"]
    again = run_round(after_first, BASE, PLAN, tell=quiet)
    assert again.manifest is not None
    assert again.manifest.name == "tiny-v3"  # v2 is spent
