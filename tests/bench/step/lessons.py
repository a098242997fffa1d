"""What every peer learns, from which model; and how long and how large its steps are."""

import gc
import pickle
import resource
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM
from transformers.utils.logging import disable_progress_bar

from tests.trainer import tiny
from trainer.batch import Text
from trainer.load import load_policy
from trainer.plan import Plan
from trainer.policy import Policy

BETA, LEARNING_RATE, VOCABULARY = 0.1, 1e-3, 16_384
ANSWERS = 8  # a step: eight thumbs, or four pairs
PLAN = Plan(rank=16, alpha=32, beta=BETA, learning_rate=LEARNING_RATE)
METHODS = ("kto", "dpo")
# Tokens of prompts and of answers, and steps; the first of all is not timed. In this order: the
# memory is that of the mixed ones, and the curve is of small ones.
LENGTHS = {
    "mixed": ((64, 192), (32, 224), 3),
    "equal": ((128, 128), (128, 128), 1),
    "curve": ((4, 12), (2, 14), 20),
}


class Lesson(NamedTuple):
    """Eight thumbs with their strangers; or four pairs, the better answers first."""

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
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=384,
        num_hidden_layers=8,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=64,
        intermediate_size=1024,
        max_position_embeddings=512,
        tie_word_embeddings=True,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
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
        return tuple(random.randrange(3, VOCABULARY) for _ in range(random.randint(*size)))

    for _ in range(steps):
        asked = [draw(prompts) for _ in range(ANSWERS)]
        if method == "dpo":
            asked = asked[: ANSWERS // 2] * 2
        texts = [Text(prompt, draw(answers)) for prompt in asked]
        others = texts[-1:] + texts[:-1] if method == "kto" else []
        pairs = zip(texts, others, strict=False)
        strangers = [Text(text.prompt_ids, other.answer_ids) for text, other in pairs]
        yield Lesson(texts, strangers, policy.logprobs(texts + strangers))


class Seen(NamedTuple):
    seconds: list[float]  # of each step
    losses: list[float]
    megabytes: float


class Clock:
    def __init__(self) -> None:
        gc.collect()
        self._floor = _peak()
        self._ticks = list[float]()

    def tick(self) -> None:
        """Before each step, and after the last."""
        self._ticks.append(time.process_time())

    def seen(self, losses: list[float]) -> Seen:
        steps = [after - before for before, after in pairwise(self._ticks)]
        return Seen(steps, losses, _peak() - self._floor)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
