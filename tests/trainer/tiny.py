"""A model of 0.2 million parameters, and the thumbs of users who like one half of its words."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from feedback import examples
from feedback.events import BASE
from feedback.examples import Example
from trainer.load import load_policy
from trainer.plan import Plan
from trainer.policy import Policy

PLAN = Plan(
    rank=4,
    alpha=8,
    learning_rate=5e-3,
    beta=1.0,
    sft_weight=1.0,
    epochs=2,
    batch_size=8,
    warmup_steps=2,
    min_rows=16,
    replay=16,
    holdout_percent=20,
    kl_budget_parent=50,
    kl_budget_base=50,
    probe_samples=16,
    max_new_tokens=8,
    max_end_drop=1,
)
_WORDS = "how do I boil an egg put it in hot water for eight minutes then cool it"


def make_model(folder: Path) -> Path:
    torch.manual_seed(0)
    tokenizer = _tokenizer()
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        intermediate_size=128,
        max_position_embeddings=128,
        tie_word_embeddings=True,
        initializer_range=0.1,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = Qwen3ForCausalLM(config)
    # As models come: with tastes of their own in sampling, which must not get into a round.
    model.generation_config.update(do_sample=True, top_k=3, repetition_penalty=5.0)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|im_start|>", "<|im_end|>", "<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([_WORDS], trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    wrapped.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
        "{% endfor %}<|im_start|>assistant\n"
    )
    return wrapped


def example(number: int = 0, **changes: Any) -> Example:
    """A thumbs-up on an answer of the base model."""
    plain = Example(
        completion_id=f"c{number}",
        conversation=None,
        user=f"user{number % 20}",
        app=None,
        adapter=BASE,
        parent=None,
        split_revision=1,
        messages='[{"role": "user", "content": "how"}]',
        answer="water",
        prompt_ids=[5, 6, 7],
        answer_ids=[8, 9, 1],
        logprobs=[-1.0, -2.0, -3.0],
        parameters="{}",
        finish_reason="stop",
        completed_at=datetime(2026, 1, 1, tzinfo=UTC),
        slot="thumb",
        rater=f"user{number % 20}",
        retracted=False,
        up=True,
        correction=None,
        value=None,
        winner=None,
        rival_id=None,
        rival_adapter=None,
        rival_answer=None,
        rival_answer_ids=None,
        rival_logprobs=None,
        weight=1.0,
        ruling=None,
        verdict_key=f"k{number}",
        judged_at=datetime(2026, 1, 1, tzinfo=UTC),
        partition=0,
        offset=number,
    )
    return plain._replace(**changes)


def rated(policy: Policy, adapter: str, numbers: range) -> Iterator[Example]:
    """Answers of the policy, logged as the engine would, liked where most ids are even."""
    prompts = [(5, 6, 7, 10 + number % 40) for number in numbers]
    for number, text in zip(numbers, policy.sample(prompts, numbers.start).texts, strict=True):
        with torch.no_grad():
            tokens = policy.token_logprobs([text])[0, -len(text.answer_ids) :]
        even = sum(token % 2 == 0 for token in text.answer_ids)
        yield example(
            number,
            adapter=adapter,
            prompt_ids=list(text.prompt_ids),
            answer_ids=list(text.answer_ids),
            logprobs=tokens.tolist(),
            up=even * 2 > len(text.answer_ids),
        )


def settle(folder: Path, rows: list[Example], *, start: int, end: int) -> None:
    """As the worker would: one file for the log from `start` to `end`."""
    places = ("completions/0", "verdicts/0")
    examples.append(folder, dict.fromkeys(places, start), dict.fromkeys(places, end), rows)


def quiet(step: str, done: int, of: int) -> None:
    """Told how far a round is, it tells nobody."""


def rated_by_base(base: Path, folder: Path, count: int = 96) -> None:
    policy = load_policy(str(base), None, PLAN)
    settle(folder, list(rated(policy, BASE, range(count))), start=0, end=count)
