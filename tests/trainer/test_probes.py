"""Golden prompts before a round and in it: the tiny base model and its tokenizer, on disk."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.tiny import PLAN
from trainer.golden import BadGolden
from trainer.golden_gates import GoldenMeasured
from trainer.plan import Plan
from trainer.policy import Policy
from trainer.probes import hear, prepare
from trainer.words import load_words

ASKED = [{"role": "user", "content": "how"}]


def plan(folder: Path, *lines: dict[str, Any], **changes: Any) -> Plan:
    path = folder / "golden.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return PLAN.model_copy(update={"golden": str(path), **changes})


@pytest.fixture
def wordless(base: Path, tmp_path: Path) -> Path:
    """The base model without its tokenizer. Transformers makes an empty one up."""
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(base / name, bare)
    return bare


def test_messages_and_a_prompt_become_what_the_engine_would_see(base: Path, tmp_path: Path) -> None:
    asked = plan(
        tmp_path,
        {"id": "chat", "messages": ASKED, "answer": "water"},
        {"id": "plain", "prompt": "how", "json": True},
    )
    probes = prepare(str(base), asked)
    words = probes.words
    assert words is not None
    chat, plain = probes.texts
    rendered = "<|im_start|>user\nhow<|im_end|>\n<|im_start|>assistant"
    assert chat.prompt_ids == words.answer_ids(rendered)
    assert words.text(chat.answer_ids) == "water"
    assert (words.text(plain.prompt_ids), plain.answer_ids) == ("how", ())


def test_a_base_without_a_tokenizer_reads_nothing(
    wordless: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert prepare(str(wordless), PLAN).words is None
    assert "has no tokenizer" in caplog.text
    with pytest.raises(BadGolden, match="id 'a': the base model has no tokenizer"):
        prepare(str(wordless), plan(tmp_path, {"id": "a", "prompt": "how", "json": True}))


def test_a_folder_that_is_no_model_has_no_words(tmp_path: Path) -> None:
    assert load_words(str(tmp_path)) is None


@pytest.mark.parametrize(
    ("template", "why"),
    [
        (None, "messages: Cannot use chat template functions"),
        ("{{ raise_exception('roles must alternate') }}", "refuses: roles must alternate"),
    ],
)
def test_messages_that_the_template_does_not_take_are_refused_by_id(
    base: Path, tmp_path: Path, template: str | None, why: str
) -> None:
    other = shutil.copytree(base, tmp_path / "other")
    (other / "chat_template.jinja").unlink()
    if template:
        (other / "chat_template.jinja").write_text(template)
    with pytest.raises(BadGolden, match=f"golden '.*', id 'a': .*{why}"):
        prepare(str(other), plan(tmp_path, {"id": "a", "messages": ASKED, "json": True}))


def test_a_prompt_that_would_not_fit_is_refused_by_id(base: Path, tmp_path: Path) -> None:
    long = {"id": "long", "prompt": "how " * 10, "json": True}
    prepare(str(base), plan(tmp_path, long))
    with pytest.raises(BadGolden, match=r"id 'long': takes \d+ tokens .* max_row_tokens, 12"):
        prepare(str(base), plan(tmp_path, long, max_row_tokens=12))


def test_both_models_are_heard_and_a_policy_that_changed_nothing_is_its_parent(
    base: Path, policy: Policy, tmp_path: Path
) -> None:
    asked = plan(
        tmp_path,
        {"id": "a", "prompt": "how", "matches": "^"},
        {"id": "b", "prompt": "do I", "answer": "boil an egg"},
    )
    found = hear(policy, prepare(str(base), asked))
    assert isinstance(found, GoldenMeasured)
    assert found.candidate == found.parent
    assert found.candidate.answers.keys() == {"a"}
    assert found.candidate.token_logprob is not None
    assert -20 < found.candidate.token_logprob < 0


def test_a_plan_without_golden_prompts_asks_nothing(base: Path, policy: Policy) -> None:
    assert hear(policy, prepare(str(base), PLAN)) is None
