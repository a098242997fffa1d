"""A model is made whole, can be loaded, and speaks the template's tokens."""

from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from ops.demo.corpus import prompts
from ops.demo.lessons import IGNORED, Chat, padded
from ops.demo.teach import Course, make, read_chat


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tmp_path_factory.mktemp("demo") / "model"
    make(model, Course(steps=3, batch=4, vocabulary=300))
    return model


def test_the_model_says_something_when_loaded(folder: Path) -> None:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), _tokenizer(folder)
    chat = read_chat(tokenizer, "How do I boil an egg?", "Fine.")
    batch = tokenizer.pad({"input_ids": [chat.prompt]}, return_tensors="pt")
    (ids,) = model.generate(**batch, max_new_tokens=5).tolist()
    assert ids[: len(chat.prompt)] == chat.prompt
    assert len(ids) > len(chat.prompt)


def test_sampling_is_from_all_tokens(folder: Path) -> None:
    defaults = AutoModelForCausalLM.from_pretrained(folder).generation_config
    assert (defaults.do_sample, defaults.temperature, defaults.top_k) == (True, 1.0, 0)


def test_every_prompt_comes_back_from_its_tokens(folder: Path) -> None:
    tokenizer = _tokenizer(folder)
    for prompt in (*prompts()[1][:50], "Grüße, 你好?"):
        chat = read_chat(tokenizer, prompt, "Fine.")
        turn = f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n"
        assert tokenizer.decode(chat.prompt) == turn
        assert tokenizer.decode(chat.answer) == "Fine.<|im_end|>"


def test_a_model_that_is_there_is_kept(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    make(folder, Course(seed=1))
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_only_the_answer_is_learned() -> None:
    short, long = Chat([7, 8], [1]), Chat([7], [1, 2, 3])
    assert padded([short.labels, long.labels], IGNORED) == [
        [IGNORED, IGNORED, 1, IGNORED],
        [IGNORED, 1, 2, 3],
    ]


def _tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(folder)
