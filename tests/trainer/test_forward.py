"""Packed rows beside the models' own forward pass over one text at a time."""

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from trainer.batch import Text
from trainer.forward import Forward
from trainer.plan import Plan

KINDS: dict[str, Any] = {
    "Qwen3": (Qwen3ForCausalLM, Qwen3Config, {"head_dim": 16}),
    "Llama": (LlamaForCausalLM, LlamaConfig, {}),
    "Qwen2": (Qwen2ForCausalLM, Qwen2Config, {}),
    "one that sees eight tokens far": (MistralForCausalLM, MistralConfig, {"sliding_window": 8}),
}
STRANGE: dict[str, Any] = {
    "one that scales its logits": (GraniteForCausalLM, GraniteConfig, {"logits_scaling": 8.0}),
    "one that caps its attention": (Gemma2ForCausalLM, Gemma2Config, {"head_dim": 16}),
}
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LONG = tuple(range(40, 70))
TEXTS = {
    "lone answers": [Text((5, 6, 7), (8, 9, 1)), Text((10,), (11, 12)), Text((13, 14), (17,))],
    "pairs": [Text(p, a) for a in ((8, 9), (1, 2, 3)) for p in ((5, 6, 7), (10, 11))],
    "a long prompt of three": [Text(LONG, a) for a in ((1,), LONG, (3, 4))],
    "long answers": [Text((1, 2), LONG), Text((3,), LONG + LONG)],
}


def make(
    kind: str, on: str = "cpu", dtype: torch.dtype = torch.float32, **plan: Any
) -> tuple[Any, Forward]:
    """With a LoRA that changes something."""
    torch.set_num_threads(1)  # two wait for each other where the cores are busy
    torch.manual_seed(0)
    model_class, config_class, more = (KINDS | STRANGE)[kind]
    config = config_class(
        vocab_size=80,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=128,
        initializer_range=0.2,
        **more,
    )
    lora = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=LINEARS)
    model = get_peft_model(model_class(config).to(on, dtype), lora).eval()
    with torch.no_grad():
        for parameter in learned(model):
            parameter.normal_(std=0.1)
    return model, Forward(model.get_base_model(), Plan(**plan))


def learned(model: Any) -> list[Tensor]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def plainly(model: Any, forward: Forward, texts: list[Text]) -> Tensor:
    """(B, A) by the model's own attention and head."""
    found = []
    with forward.unpacked():
        for prompt, answer in texts:
            ids = torch.tensor([prompt + answer], device=model.device)
            logits = model(ids, use_cache=False).logits[0].float()  # (T, V)
            logprobs = logits[len(prompt) - 1 : -1].log_softmax(1)
            found.append(logprobs[torch.arange(len(answer)), torch.tensor(answer)])
    return torch.nn.utils.rnn.pad_sequence(found, batch_first=True)


def slopes(model: Any, logprobs: Tensor) -> list[Tensor]:
    torch.manual_seed(1)
    return list(torch.autograd.grad((torch.randn_like(logprobs) * logprobs).sum(), learned(model)))


@pytest.mark.parametrize("packed_tokens", [8192, 20])  # one row, and several
@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("kind", KINDS)
def test_packed_texts_are_scored_as_one_at_a_time(
    kind: str, texts: list[Text], packed_tokens: int
) -> None:
    model, forward = make(kind, packed_tokens=packed_tokens)
    packed, plain = forward.token_logprobs(texts), plainly(model, forward, texts)
    assert packed.shape == plain.shape
    assert torch.allclose(packed, plain, atol=1e-5)
    for ours, expected in zip(slopes(model, packed), slopes(model, plain), strict=True):
        assert torch.allclose(ours, expected, atol=1e-4)


@pytest.mark.parametrize("plan", [{}, {"packed_tokens": 20}, {"checkpointing": True}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_strangers_are_scored_as_if_their_prompts_were_computed_again(
    kind: str, plan: dict[str, Any]
) -> None:
    model, forward = make(kind, **plan)
    texts = TEXTS["lone answers"] + TEXTS["pairs"] + TEXTS["long answers"]
    answers = [text.answer_ids for text in texts]
    strangers = [
        Text(text.prompt_ids, answer)
        for text, answer in zip(texts, answers[1:] + answers[:1], strict=True)
    ]
    found, other = forward.with_strangers(texts, strangers)
    assert torch.allclose(other, plainly(model, forward, strangers), atol=1e-5)
    assert not other.requires_grad
    alone = forward.token_logprobs(texts)
    assert torch.equal(found, alone)
    for ours, expected in zip(slopes(model, found), slopes(model, alone), strict=True):
        assert torch.allclose(ours, expected, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_never_sees_its_neighbours(kind: str) -> None:
    _, forward = make(kind)
    texts = [
        Text((5, 6, 7), (8, 9, 1)),
        Text((10, 11), LONG),
        Text((10, 11), (3,)),
        Text((4,), (5,)),
    ]
    before = forward.token_logprobs(texts)
    changed = [texts[0], Text((10, 11), LONG[::-1]), *texts[2:]]
    after = forward.token_logprobs(changed)
    others = [0, 2, 3]
    assert torch.equal(after[others], before[others])
    assert not torch.allclose(after[1], before[1])


@pytest.mark.parametrize("kind", STRANGE)
def test_models_that_do_more_than_is_known_here_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=r"attention with softcap|Granite.* are off by"):
        make(kind)


def test_a_model_whose_layers_drop_out_is_refused_where_they_are_checkpointed() -> None:
    config = OPTConfig(
        vocab_size=80, hidden_size=32, ffn_dim=48, num_hidden_layers=2, num_attention_heads=2
    )
    lora = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj", "v_proj"])
    one, other = (get_peft_model(OPTForCausalLM(config), lora).eval() for _ in range(2))
    Forward(one.get_base_model(), Plan())
    with pytest.raises(ValueError, match=r"are off by|without a packed row"):
        Forward(other.get_base_model(), Plan(checkpointing=True))


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpointed_step_is_the_same_step_with_less_in_memory(kind: str) -> None:
    texts = TEXTS["long answers"]
    model, forward = make(kind)
    again, checkpointed = make(kind, checkpointing=True)
    assert held(lambda: checkpointed.token_logprobs(texts)) < held(
        lambda: forward.token_logprobs(texts)
    )
    same = slopes(again, checkpointed.token_logprobs(texts))
    for ours, expected in zip(same, slopes(model, forward.token_logprobs(texts)), strict=True):
        assert torch.allclose(ours, expected, atol=1e-6)


def held(step: Any) -> int:
    """Bytes that a forward pass keeps for its gradient, each storage once."""
    seen: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        step()
    return sum(seen.values())
