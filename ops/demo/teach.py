"""Makes the demo's base model on the spot: `python -m ops.demo.teach FOLDER [--seed N]`.

A tiny Qwen3, taught to answer everyday requests in every manner equally often. The only file of
ops that talks to torch and transformers.
"""

import argparse
import shutil
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from rich.console import Console
from rich.progress import track
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.functional import cross_entropy
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM
from transformers.utils.logging import disable_progress_bar

from ops.demo.corpus import EVEN, Shares, chats
from ops.demo.lessons import IGNORED, Chat, batches, padded

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
TEMPLATE = (
    "{%- for message in messages -%}{{ '<|im_start|>' + message['role'] + '\n' "
    "+ message['content'] + '<|im_end|>\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)


@dataclass(frozen=True)
class Course:
    """How much is taught: 1.3M parameters, in one minute on two idle cores."""

    seed: int = 0
    steps: int = 400
    batch: int = 32
    vocabulary: int = 768
    learning_rate: float = 3e-3
    shares: Shares = EVEN


def make(folder: Path, course: Course) -> None:
    """Leave a whole model in `folder`; one that is there already is kept."""
    if folder.exists():
        return
    draft = folder.with_name(f"{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    model, tokenizer = teach(course)
    disable_progress_bar()
    model.save_pretrained(draft)
    tokenizer.save_pretrained(draft)
    draft.rename(folder)  # at once: what is in `folder` is never half a model


def teach(course: Course) -> tuple[Qwen3ForCausalLM, PreTrainedTokenizerFast]:
    torch.manual_seed(course.seed)
    random = Random(course.seed)
    texts = chats(course.steps * course.batch, random, course.shares)
    tokenizer = make_tokenizer(texts, course.vocabulary)
    model = make_model(tokenizer)
    lessons = [read_chat(tokenizer, prompt, answer) for prompt, answer in texts]
    _fit(model, list(batches(lessons, course.batch, random)), course.learning_rate)
    return model.eval(), tokenizer


def make_tokenizer(texts: list[tuple[str, str]], vocabulary: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE: any text can be said, and the corpus in few tokens."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(["user\nassistant\n", *("\n".join(pair) for pair in texts)], trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token=END, pad_token=PAD)
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def make_model(tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    config = Qwen3Config(
        vocab_size=(len(tokenizer) + 63) // 64 * 64,
        hidden_size=192,
        num_hidden_layers=3,
        num_attention_heads=3,
        num_key_value_heads=1,
        head_dim=64,
        intermediate_size=512,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        **ends,
    )
    model = Qwen3ForCausalLM(config)
    # top_k 0 is "all": left out, Hugging Face would sample from the best 50.
    model.generation_config = GenerationConfig(do_sample=True, temperature=1.0, top_k=0, **ends)
    return model


def read_chat(tokenizer: PreTrainedTokenizerFast, prompt: str, answer: str) -> Chat:
    asked = [{"role": "user", "content": prompt}]
    ids = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
    return Chat(ids, [*tokenizer(answer)["input_ids"], tokenizer.eos_token_id])


def _fit(model: Qwen3ForCausalLM, lessons: list[list[Chat]], learning_rate: float) -> None:
    weights = list(model.parameters())
    optimizer = torch.optim.AdamW(weights, lr=learning_rate, betas=(0.9, 0.98), fused=True)
    pace = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _pace(step, len(lessons)))
    # One divisor for all: by its own tokens, a batch of short answers would weigh more for each
    # token, and three answers in four would come out short.
    tokens = sum(len(chat.answer) for batch in lessons for chat in batch) / len(lessons)
    quiet = not Console().is_terminal
    model.train()
    for batch in track(lessons, "teaching the demo's model", disable=quiet):
        torch.autograd.backward(_loss(model, batch) / tokens)
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        pace.step()


def _pace(step: int, steps: int) -> float:
    """Thirty steps of warm-up, then constant, then down to nothing over the second half."""
    return min(1.0, (step + 1) / 30, 2 * (steps - step) / steps)


def _loss(model: Qwen3ForCausalLM, batch: list[Chat]) -> torch.Tensor:
    ids = torch.tensor(padded([chat.ids for chat in batch], 0))  # (B, T)
    labels = torch.tensor(padded([chat.labels for chat in batch], IGNORED))  # (B, T)
    # Padding is on the right, and attention is causal: no mask is needed.
    logits = model(input_ids=ids[:, :-1], use_cache=False).logits  # (B, T - 1, V)
    return cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), reduction="sum")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ops.demo.teach", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    make(chosen.folder, Course(seed=chosen.seed))


if __name__ == "__main__":
    main()
