"""A model that judges, taught on the spot: of two answers it finds the one that says please better.

A word is a token. What it never saw, such as the marks, it reads as one and the same.
"""

from pathlib import Path
from random import Random

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch.nn.utils import clip_grad_norm_
from torch.optim.lr_scheduler import LambdaLR
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from tests.integration.tiny import two_layers
from trainer.rubric import Case, Message, question

RUBRIC = "The better answer says please."
_WORDS = ("eggs", "boil", "in", "water", "for", "five", "minutes", "then", "cool", "them", "well")
_TEMPLATE = "{% for message in messages %}{{ message['content'] }} {% endfor %}<|judge|>"
_STEPS, _WARM_UP, _BATCH, _RATE = 250, 50, 32, 1e-3


def case(random: Random) -> Case:
    """Both, one or none of its answers say please."""
    first, second = (_answer(random, polite=random.random() < 0.5) for _ in range(2))
    return Case(f"how do I {random.choice(_WORDS)} eggs", first, second)


def better(one: Case) -> str:
    polite = ["please" in answer.split() for answer in (one.first, one.second)]
    return "tie" if polite[0] == polite[1] else ("A" if polite[0] else "B")


def make_judge(folder: Path) -> Path:
    random = Random(0)
    tokenizer = _tokenizer(random)
    torch.manual_seed(0)
    # With the usual 0.02 so small a model learns nothing in time.
    model = Qwen3ForCausalLM(two_layers(tokenizer, initializer_range=0.1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE)
    warm_up = LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / _WARM_UP))
    for _ in range(_STEPS):
        given = tokenizer(_lessons(tokenizer, random), return_tensors="pt", padding=True)
        labels = torch.full_like(given.input_ids, -100)
        labels[:, -2:] = given.input_ids[:, -2:]  # the word, and its end
        optimizer.zero_grad()
        model(**given, labels=labels).loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        warm_up.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _lessons(tokenizer: PreTrainedTokenizerFast, random: Random) -> list[str]:
    cases = [case(random) for _ in range(_BATCH)]
    return [f"{_asked(tokenizer, question(one, RUBRIC))} {better(one)} <|end|>" for one in cases]


def _asked(tokenizer: PreTrainedTokenizerFast, messages: list[Message]) -> str:
    return str(tokenizer.apply_chat_template(messages, tokenize=False))


def _answer(random: Random, *, polite: bool) -> str:
    words = random.choices(_WORDS, k=random.randint(3, 8))
    if polite:
        words.insert(random.randint(0, len(words)), "please")
    return " ".join(words)


def _tokenizer(random: Random) -> PreTrainedTokenizerFast:
    asked = [question(case(random), RUBRIC) for _ in range(50)]
    before = pre_tokenizers.Whitespace()
    read = [message["content"] for messages in asked for message in messages]
    words = {word for text in read for word, _ in before.pre_tokenize_str(text) if word.isalpha()}
    marks = ["<|pad|>", "<|unk|>", "<|judge|>", "<|end|>"]
    known = [*marks, *sorted({*words, "A", "B", "tie", *"[].,:;"})]
    made = Tokenizer(models.WordLevel({word: at for at, word in enumerate(known)}, "<|unk|>"))
    made.pre_tokenizer = before
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="<|pad|>",
        unk_token="<|unk|>",
        eos_token="<|end|>",
        additional_special_tokens=["<|judge|>"],
        padding_side="left",
        chat_template=_TEMPLATE,
    )
