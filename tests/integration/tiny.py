"""A chat model of a hundred thousand parameters, and adapters for it, made on the spot.

They talk nonsense.
"""

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from trainer.adapters import claim_name, publish
from trainer.blank import blank_manifest

_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)


def make_model(folder: Path) -> Path:
    """A Qwen3 of two layers with random weights, as Hugging Face would save it."""
    tokenizer = _tokenizer()
    torch.manual_seed(0)
    Qwen3ForCausalLM(two_layers(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def two_layers(tokenizer: PreTrainedTokenizerFast, **more: Any) -> Qwen3Config:
    return Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **more,
    )


def make_adapter(model: Path, store: Path, name: str, seed: int = 1) -> Path:
    """A published adapter with random weights, so large that its answers differ from base's."""
    folder = claim_name(store, name)
    base = Qwen3ForCausalLM.from_pretrained(model)
    torch.manual_seed(seed)
    lora = get_peft_model(
        base, LoraConfig(r=8, lora_alpha=64, target_modules=["q_proj", "v_proj", "down_proj"])
    )
    for parameter in lora.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.5)
    lora.save_pretrained(folder)
    publish(folder, blank_manifest(name, str(model)))
    return folder


def _tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["user assistant system hello there how are you"], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=_TEMPLATE,
    )
