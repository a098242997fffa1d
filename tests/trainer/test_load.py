"""The base model as the plan wants it: its precision, and four bit by bitsandbytes, on a CPU."""

from pathlib import Path

import pytest
import torch

from feedback.events import BASE
from tests.trainer.test_launch import plan
from tests.trainer.test_policy import TEXTS
from tests.trainer.tiny import quiet, rated_by_base
from trainer.adapters import verify
from trainer.course import Places
from trainer.load import load_policy
from trainer.lora_files import CONFIG, WEIGHTS
from trainer.run import run_round


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_a_lora_learns_in_float32_whatever_the_base_is_in(base: Path, precision: str) -> None:
    policy = load_policy(str(base), None, plan(precision=precision))
    assert policy._model.dtype == getattr(torch, precision)
    assert {parameter.dtype for parameter in policy.parameters()} == {torch.float32}
    exact = load_policy(str(base), None, plan()).logprobs(TEXTS)
    assert torch.allclose(policy.logprobs(TEXTS), exact, atol=0.5)


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_in_four_bit_are_all_linears_but_the_head(base: Path, precision: str) -> None:
    policy = load_policy(str(base), None, plan(quantize="4bit", precision=precision))
    layers = policy._model.get_base_model().get_decoder().layers
    linears = [m for m in layers.modules() if hasattr(m, "base_layer")]
    assert {type(m.base_layer).__name__ for m in linears} == {"Linear4bit"}
    assert type(policy._model.get_output_embeddings()) is torch.nn.Linear
    assert {parameter.dtype for parameter in policy.parameters()} == {torch.float32}
    policy.token_logprobs(TEXTS).sum().backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in policy.parameters())


@pytest.mark.integration
def test_a_round_in_four_bit_saves_the_same_two_files(base: Path, places: Places) -> None:
    rated_by_base(base, places.examples)
    in_four_bit = plan(quantize="4bit")
    ended = run_round(places, BASE, in_four_bit, tell=quiet)
    manifest = verify(places.adapters, "tiny-v1")
    assert ended.outcome == "published", ended.why
    assert manifest.curves["loss"][-1] < manifest.curves["loss"][0]
    assert {CONFIG, WEIGHTS} < manifest.files.keys()
    # On the whole base it is the adapter that it was on the rounded one, nearly.
    folder = places.adapters / "tiny-v1"
    rounded, whole = (load_policy(str(base), folder, p) for p in (in_four_bit, plan()))
    assert rounded.logprobs(TEXTS).tolist() == pytest.approx(
        whole.logprobs(TEXTS).tolist(), rel=0.3
    )
