"""What every peer learns, and from which model."""

import pickle
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM
from transformers.utils.logging import disable_progress_bar

from tests.bench.step.scale import ANSWERS, CONFIG, LENGTHS
from tests.trainer import tiny
from trainer.batch import Text
from trainer.load import load_policy
from trainer.plan import Plan
from trainer.policy import Policy

BETA, LEARNING_RATE = 0.1, 1e-3
PLAN = Plan(rank=16, alpha=32, beta=BETA, learning_rate=LEARNING_RATE)
METHODS = ("kto", "dpo")


class Lesson(NamedTuple):
    """Thumbs with their strangers; or pairs, the better answers first."""

    texts: list[Text]
    strangers: list[Text]
    reference: Tensor  # of all of them, as the parent thinks


def prepare(base: Path) -> None:
    """The model, and all that is to be learned."""
    torch.set_num_threads(1)
    disable_progress_bar()
    make_model(base)
    policy = load_policy(str(base), base / "adapter", PLAN)
    for method in METHODS:
        lessons = {lengths: list(make_lessons(policy, method, lengths)) for lengths in LENGTHS}
        (base / method).write_bytes(pickle.dumps(lessons))


def make_model(folder: Path) -> None:
    torch.manual_seed(0)
    config = Qwen3Config(tie_word_embeddings=True, **CONFIG)
    Qwen3ForCausalLM(config).to(config.dtype).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny.make_model(folder / "tiny")).save_pretrained(folder)
    policy = load_policy(str(folder), None, PLAN)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))  # a parent that is not the base
    (folder / "adapter").mkdir()
    policy.save(folder / "adapter")


def make_lessons(policy: Policy, method: str, lengths: str) -> Iterator[Lesson]:
    random = Random(0)
    prompts, answers, steps = LENGTHS[lengths]

    def draw(size: tuple[int, int]) -> tuple[int, ...]:
        return tuple(
            random.randrange(3, CONFIG["vocab_size"]) for _ in range(random.randint(*size))
        )

    for _ in range(steps):
        asked = [draw(prompts) for _ in range(ANSWERS)]
        if method == "dpo":
            asked = asked[: ANSWERS // 2] * 2
        texts = [Text(prompt, draw(answers)) for prompt in asked]
        others = texts[-1:] + texts[:-1] if method == "kto" else []
        pairs = zip(texts, others, strict=False)
        strangers = [Text(text.prompt_ids, other.answer_ids) for text, other in pairs]
        yield Lesson(texts, strangers, policy.logprobs(texts + strangers).cpu())
