import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.trainer.tiny import PLAN
from trainer.batch import Text
from trainer.load import load_policy
from trainer.lora_files import CONFIG, WEIGHTS
from trainer.policy import Policy

TEXTS = [Text((5, 6, 7), (8, 9, 1)), Text((10,), (11, 12)), Text((13, 14, 15, 16), (17,))]


def shift(policy: Policy) -> None:
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.05)


def test_logprobs_are_those_of_the_plain_model(base: Path, policy: Policy) -> None:
    plain = AutoModelForCausalLM.from_pretrained(base)
    for text, found in zip(TEXTS, policy.logprobs(TEXTS).tolist(), strict=True):
        ids = torch.tensor([text.prompt_ids + text.answer_ids])
        with torch.no_grad():
            logprobs = plain(ids).logits.log_softmax(-1)[0, :-1]  # (T-1, V)
        start = len(text.prompt_ids) - 1
        expected = sum(
            logprobs[start + at, token].item() for at, token in enumerate(text.answer_ids)
        )
        assert found == pytest.approx(expected, abs=1e-4)


def test_padding_changes_nothing(policy: Policy) -> None:
    alone = [policy.logprobs([text]).item() for text in TEXTS]
    assert policy.logprobs(TEXTS).tolist() == pytest.approx(alone, abs=1e-5)


def test_a_new_lora_changes_nothing_yet(policy: Policy) -> None:
    assert torch.equal(policy.logprobs(TEXTS), policy.logprobs(TEXTS, "base"))


def test_parent_and_base_stay_what_they_were_while_the_policy_learns(policy: Policy) -> None:
    before = policy.logprobs(TEXTS)
    shift(policy)
    learned = policy.logprobs(TEXTS)
    assert not torch.allclose(learned, before)
    assert torch.equal(policy.logprobs(TEXTS, "parent"), before)
    assert torch.equal(policy.logprobs(TEXTS, "base"), before)
    assert torch.equal(policy.logprobs(TEXTS), learned)


def test_restored_weights_are_the_same_weights(policy: Policy) -> None:
    kept, before = policy.weights(), policy.logprobs(TEXTS)
    shift(policy)
    policy.restore(kept)
    assert torch.equal(policy.logprobs(TEXTS), before)


def test_only_the_lora_learns(policy: Policy) -> None:
    policy.token_logprobs(TEXTS).sum().backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in policy.parameters())
    assert sum(parameter.numel() for parameter in policy.parameters()) < 30_000


def test_what_is_saved_is_what_is_loaded(base: Path, policy: Policy, tmp_path: Path) -> None:
    shift(policy)
    policy.save(tmp_path)
    again = load_policy(str(base), tmp_path, PLAN)
    assert torch.equal(again.logprobs(TEXTS), policy.logprobs(TEXTS))
    assert torch.equal(again.logprobs(TEXTS, "parent"), policy.logprobs(TEXTS))
    assert not torch.allclose(again.logprobs(TEXTS, "base"), policy.logprobs(TEXTS))


def test_the_files_are_the_two_that_vllm_loads(policy: Policy, tmp_path: Path) -> None:
    policy.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {CONFIG, WEIGHTS}
    assert (tmp_path / WEIGHTS).stat().st_mode & 0o044  # the engine may be another user
    config = json.loads((tmp_path / CONFIG).read_text())
    assert config["peft_type"] == "LORA"
    assert (config["r"], config["lora_alpha"]) == (PLAN.rank, PLAN.alpha)
    attention = ["k_proj", "o_proj", "q_proj", "v_proj"]
    assert config["target_modules"] == sorted([*attention, "down_proj", "gate_proj", "up_proj"])


def test_answers_are_drawn_alike_from_one_seed_and_end_where_the_model_ends_them(
    policy: Policy,
) -> None:
    prompts = [(5, 6, 7), (8,)] * 40
    drawn = policy.sample(prompts, seed=1)
    assert drawn == policy.sample(prompts, seed=1)
    assert drawn.texts != policy.sample(prompts, seed=2).texts
    for text, ended in zip(drawn.texts, drawn.ended, strict=True):
        assert 1 <= len(text.answer_ids) <= PLAN.max_new_tokens
        assert (1 in text.answer_ids) == ended == (text.answer_ids[-1] == 1)


def test_a_greedy_answer_is_the_likeliest_token_each_time_whatever_the_seed(policy: Policy) -> None:
    prompts = [(5, 6, 7), (8,)]
    found = policy.sample(prompts, seed=1, greedy=True)
    assert found == policy.sample(prompts, seed=2, greedy=True)
    for text in found.texts:
        rivals = [Text(text.prompt_ids, (token,)) for token in range(280)]
        assert policy.logprobs(rivals).argmax().item() == text.answer_ids[0]


@pytest.mark.integration
def test_answers_come_from_the_whole_distribution(policy: Policy) -> None:
    prompt = (5, 6, 7)
    first = [text.answer_ids[0] for text in policy.sample([prompt] * 2000, seed=0).texts]
    kinds = len(set(first))
    assert kinds > 50  # Transformers' own default would draw from the 50 likeliest
    likeliest = max(set(first), key=first.count)
    share = policy.logprobs([Text(prompt, (likeliest,))]).exp().item()
    assert first.count(likeliest) / len(first) == pytest.approx(share, abs=0.03)


def test_the_last_states_are_those_of_the_plain_model(base: Path, policy: Policy) -> None:
    plain = AutoModelForCausalLM.from_pretrained(base)
    shared = [*TEXTS, Text(TEXTS[0].prompt_ids, (9,))]  # looks back at a prompt of the row
    for text, found in zip(shared, policy.last_states(shared).detach(), strict=True):
        with torch.no_grad():
            states = plain.get_decoder()(torch.tensor([text.prompt_ids + text.answer_ids]))
        assert torch.allclose(found, states.last_hidden_state[0, -1], atol=1e-4)


def test_another_lora_is_worn_for_a_while(policy: Policy) -> None:
    before = policy.logprobs(TEXTS)
    other = {name: tensor + 0.05 for name, tensor in policy.weights().items()}
    with policy.wearing(other):
        assert not torch.allclose(policy.logprobs(TEXTS), before)
    assert torch.equal(policy.logprobs(TEXTS), before)
