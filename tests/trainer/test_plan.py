import os
import re
import subprocess
import sys
from codecs import BOM_UTF8
from pathlib import Path

import pytest

from feedback.begin import BAD_SETTINGS
from trainer.methods import AI_DIALS, DIALS, KINDS, WITH_AI, Method
from trainer.plan import Plan
from trainer.plan_file import BadPlan, read_plan


def test_a_file_changes_only_the_fields_it_names(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text('{"beta": 1, "learning_rate": 1e-3}')
    assert read_plan(path) == Plan(beta=1.0, learning_rate=1e-3)
    assert read_plan(None) == Plan()
    path.write_bytes(BOM_UTF8 + b'{"epochs": 2}')  # as some editors write it
    assert read_plan(path) == Plan(epochs=2)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"beta": 0}', r"beta: .* greater than 0 \(got 0"),
        ('{"batch_size": 1}', r"batch_size: .* \(got 1\)"),
        ('{"rank": 0}', r"rank: .* \(got 0\)"),
        ('{"max_age_days": 0}', r"max_age_days: .* greater than 0 \(got 0"),
        ('{"balance": "even"}', r"balance: Input should be 'lift_ups', 'paper' or 'none'"),
        ('{"bata": 1}', r"bata is no field of a plan: did you mean beta\?"),
        ('{"zzz": 1}', r"zzz is no field of a plan$"),
        ('{"bata": 1, "rank": 0}', r"rank: .* \(got 0\); bata is no field"),
        ('{"epochs": "2"}', r"epochs: .* \(got '2'\)"),
        ('{"golden": ""}', r"golden: .* at least 1 character"),
        ('{"refusal_phrases": []}', r"refusal_phrases: .* at least 1 item"),
        ('{"refusal_phrases": [" "]}', r"refusal_phrases\.0: .* \(got ' '\)"),
        ('{"max_golden_drop": 2}', r"max_golden_drop: .* \(got 2"),
        ('{"method": "trpo"}', r"method: Input should be 'kto', 'dpo', .* \(got 'trpo'\)"),
        (
            '{"method": "ppo", "sft_weight": 1.0}',
            "sft_weight is 1.0; expected 0.0 with",
        ),
        (
            '{"method": "kto", "ratio_clip": 0.1}',
            "ratio_clip is 0.1; .* read by ppo, grpo, rloo alone",
        ),
        (
            '{"method": "auto", "max_new_tokens": 64, "max_row_tokens": 64}',
            "max_new_tokens is 64; expected less than max_row_tokens, 64",
        ),
        (
            '{"method": "online_dpo", "max_new_tokens": 64, "max_row_tokens": 64}',
            "max_new_tokens is 64; expected less than max_row_tokens, 64",
        ),
        ('{"method": "dpo", "label_noise": 0.5}', r"label_noise: .* less than 0.5 \(got 0.5\)"),
        ('{"method": "simpo", "margin": -1}', r"margin: .* \(got -1\)"),
        ('{"method": "rpo", "reward_scale": 0}', r"reward_scale: .* \(got 0\)"),
        ('{"method": "rpo", "reward_outcome": ""}', r"reward_outcome: .* at least 1 character"),
        ('{"method": "rrhf", "max_ranked": 1}', r"max_ranked: .* \(got 1\)"),
        (
            '{"method": "ipo", "margin": 2}',
            "margin is 2.0; expected 1.0 with method 'ipo'",
        ),
        (
            '{"label_noise": 0.1}',
            "label_noise is 0.1; expected 0.0 with .* read by dpo alone",
        ),
        (
            '{"method": "kto", "margin": 2, "ratio_clip": 0.1}',
            "margin is 2.0; .*or to be left out.*; ratio_clip is 0.1; ",
        ),
        (
            '{"method": "rrhf", "beta": 1}',
            "beta is 1.0; expected 0.1 with method 'rrhf'",
        ),
        ('{"method": "dpo", "balance": "paper"}', "balance is 'paper'; expected 'lift_ups' with"),
        (
            '{"method": "sft", "sft_weight": 0}',
            "sft_weight is 0.0; expected more than 0",
        ),
        (
            '{"judged_pairs": 9}',
            "judged_pairs is 9; expected 0 with method 'kto', .* by dpo, ",
        ),
        ('{"method": "dpo", "ai_weight": 1}', r"ai_weight: .* less than 1 \(got 1"),
        ('{"method": "dpo", "ai_weight": 0}', r"ai_weight: .* greater than 0 \(got 0"),
        ('{"method": "dpo", "judge_questions": 1}', r"judge_questions: .* \(got 1\)"),
        (
            '{"method": "dpo", "rewritten_answers": 9}',
            "rewritten_answers is 9 and constitution is None; expected a file of principles",
        ),
        ('{"backend": "TRL"}', r"backend: .* 'own' or 'trl' \(got 'TRL'\): did you mean trl\?"),
        ('{"epochs": 2', "Invalid JSON: EOF"),
        (
            '{"min_kl_parent": 6}',
            "min_kl_parent is 6; expected less than kl_budget_parent, 5$",
        ),
        ('{"method": "dpo", "method": "kto"}', "method stands there twice; expected it once"),
        ("[1]", r"a plan is a JSON object \(got \[1\]\)$"),
        ('{"method": "online-dpo"}', r"\(got 'online-dpo'\): did you mean online_dpo\?"),
        ('{"precision": "bfloat"}', r"\(got 'bfloat'\): did you mean bfloat16\?"),
        ('{"quantize": "4bits"}', r"\(got '4bits'\): did you mean 4bit\?"),
        ('{"precision": 3}', r"precision: .* \(got 3\)$"),
        ('{"method": "rloo", "answers_per_prompt": 1001}', r"answers_per_prompt: .* \(got 1001\)"),
        ('{"seed": 4294967296}', r"seed: .* less than 4294967296 \(got 4294967296\)"),
        ('{"beta": 1e300}', r"beta: .* less than or equal to 1000000"),
        ('{"seed": -1}', r"seed: .* \(got -1\)"),
        ('{"epochs": 1000001}', r"epochs: .* equal to 1000000 \(got 1000001\)"),
        ('{"batch_size": 1000001}', r"batch_size: .* \(got 1000001\)"),
        ('{"replay": 1000001}', r"replay: .* \(got 1000001\)"),
        (
            '{"method": "dpo", "judge_rubric": "ours"}',
            "judge_rubric is 'ours' and judged_pairs is 0, so nothing is asked by it; expected",
        ),
        (
            '{"method": "auto", "constitution": "ours"}',
            "constitution is 'ours' and rewritten_answers is 0, so nothing is asked by it",
        ),
    ],
)
def test_a_plan_out_of_bounds_is_refused_by_file_and_field(
    tmp_path: Path, text: str, why: str
) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(BadPlan, match=f"plan '{path}': .*{why}"):
        read_plan(path)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "sft_weight is 1.0; expected 0.0 with backend 'trl': its kto cannot be told another"),
        ({"kl_weight": 0.1}, "kl_weight is 0.1; expected 0.0 with backend 'trl'"),
        ({"processes": 2}, "processes is 2; expected 1 with backend 'trl'"),
        ({"nodes": 2}, "nodes is 2; expected 1 with backend 'trl'"),
        ({"quantize": "4bit"}, "quantize is '4bit'; expected None with backend 'trl'"),
        ({"method": "dpo", "kl_weight": 0.1}, "kl_weight is 0.1; expected 0.0"),
        ({"method": "dpo", "label_noise": 0.1}, "label_noise is 0.1; expected 0.0"),
        ({"method": "dpo", "judged_pairs": 9}, "judged_pairs is 9; expected 0 with backend"),
        ({"method": "ipo", "kl_weight": 0.1}, "kl_weight is 0.1; expected 0.0"),
        ({"method": "sft", "kl_weight": 0.1}, "kl_weight is 0.1; expected 0.0"),
        ({"method": "sft", "sft_weight": 0.5}, "sft_weight is 0.5; expected 1.0"),
        *(
            ({"method": name}, f"method is '{name}'; expected kto, dpo, ipo, sft with backend")
            for name in ("simpo", "orpo", "rpo", "rrhf")
        ),
    ],
)
def test_what_trl_cannot_do_is_refused_by_name_and_value(
    fields: dict[str, object], why: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        Plan.model_validate(fields | {"backend": "trl"})
    assert Plan.model_validate(fields).backend == "own"


@pytest.mark.parametrize("method", ["kto", "dpo", "ipo", "sft"])
def test_what_trl_can_do_is_not_refused(method: str) -> None:
    dials = {"sft_weight": 0.0 if method == "kto" else 1.0}
    assert Plan.model_validate({"backend": "trl", "method": method} | dials)


def test_a_plan_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    with pytest.raises(BadPlan, match=f"plan is '{path}'; expected a JSON file"):
        read_plan(path)


@pytest.mark.integration
@pytest.mark.parametrize("word", ["--blank", "--once"])
def test_a_trainer_with_a_bad_plan_ends_with_one_line(tmp_path: Path, word: str) -> None:
    """`--blank` too: in `thumbwheel up` it runs before the engine, which takes minutes."""
    path = tmp_path / "plan.json"
    path.write_text('{"learning_rte": 1e-4}')
    env = {"THUMBWHEEL_MODEL": "none", "THUMBWHEEL_TRAINER_PLAN": str(path)}
    ended = subprocess.run(
        [sys.executable, "-m", "trainer", word],
        env=os.environ | env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    told = (
        f"settings: plan '{path}': learning_rte is no field of a plan: "
        "did you mean learning_rate?\n"
    )
    assert (ended.returncode, ended.stderr) == (BAD_SETTINGS, told)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.integration
@pytest.mark.parametrize("word", ["--blank", "--once"])
def test_a_trainer_with_a_bad_golden_file_ends_with_one_line(tmp_path: Path, word: str) -> None:
    (tmp_path / "plan.json").write_text('{"golden": "golden.jsonl"}')
    (tmp_path / "golden.jsonl").write_text('{"id": "a", "prompt": "Say hi", "refuses": "no"}\n')
    env = {"THUMBWHEEL_MODEL": "none", "THUMBWHEEL_TRAINER_PLAN": "plan.json"}
    ended = subprocess.run(
        [sys.executable, "-m", "trainer", word],
        env=os.environ | env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    told = "settings: golden 'golden.jsonl', line 1: refuses: Input should be a valid boolean"
    assert (ended.returncode, ended.stderr) == (BAD_SETTINGS, f"{told} (got 'no')\n")


def test_a_plan_survives_the_manifest() -> None:
    assert Plan.model_validate(Plan(seed=3).model_dump(mode="json")) == Plan(seed=3)


def test_beta_is_what_the_methods_authors_took() -> None:
    assert Plan().beta == Plan(method="dpo").beta == 0.1
    assert Plan(method="simpo").beta == 2.0
    assert Plan(method="simpo", beta=0.1).beta == 0.1


@pytest.mark.parametrize("method", KINDS)
def test_a_plan_of_every_method_survives_the_manifest(method: Method) -> None:
    plan = Plan(method=method)
    assert Plan.model_validate(plan.model_dump(mode="json")) == plan


def test_only_a_plan_that_reads_the_parent_asks_it() -> None:
    asking = {method for method in KINDS if Plan(method=method).asks_parent}
    assert asking == {"kto", "dpo", "ipo", "rpo", "online_dpo", "ppo", "grpo", "rloo"}
    assert all(Plan(method=method, kl_weight=0.1).asks_parent for method in KINDS)


def test_every_dial_is_a_field_and_has_a_reader() -> None:
    assert DIALS.keys() <= Plan.model_fields.keys()
    assert all(readers for readers in DIALS.values())


def test_what_an_ai_says_teaches_where_pairs_do() -> None:
    from_pairs = {name for name, kind in KINDS.items() if kind in ("pairs", "verdicts")}
    assert set(WITH_AI) == from_pairs
    assert all(DIALS[name] == WITH_AI for name in AI_DIALS)
    for method in KINDS.keys() - from_pairs:
        with pytest.raises(ValueError, match="judged_pairs is 9; expected 0 with method"):
            Plan.model_validate({"method": method, "judged_pairs": 9})
