"""What the plan says of the hardware: four bit, several processes, a share of the memory."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from feedback.events import BASE
from tests.trainer.test_forward import LONG
from tests.trainer.test_launch import plan
from tests.trainer.tiny import PLAN, make_model, rated_by_base
from trainer.adapters import verify
from trainer.batch import Text
from trainer.course import Places
from trainer.device import within_share
from trainer.endings import RoundFailed
from trainer.launch import start
from trainer.load import load_policy
from trainer.lora_files import CONFIG, WEIGHTS

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
    pytest.mark.filterwarnings("default"),
]
TEXTS = [Text((5, 6, 7), (8, 9, 1)), Text((5, 6, 7), LONG), Text(LONG, (17,))]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Places:
    """A model, and what its users said. Not to be changed."""
    home = tmp_path_factory.mktemp("first")
    base = make_model(home / "base")
    rated_by_base(base, home / "examples")
    return Places(str(base), "tiny", home / "examples", home / "adapters", home / "state")


@pytest.fixture
def places(first: Places, tmp_path: Path) -> Places:
    return replace(first, adapters=tmp_path / "adapters", state=tmp_path / "state")


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_the_base_is_as_precise_as_the_plan_says_and_the_lora_learns_in_float32(
    first: Places, precision: str
) -> None:
    policy = load_policy(first.base, None, plan(precision=precision))
    policy.token_logprobs(TEXTS).sum().backward()  # type: ignore[no-untyped-call]
    slopes = [parameter.grad for parameter in policy.parameters()]
    assert {slope.dtype for slope in slopes if slope is not None} == {torch.float32}
    near = 1e-3 if precision == "float32" else 1.0
    exact = load_policy(first.base, None, plan(precision="float32")).logprobs(TEXTS)
    assert torch.allclose(policy.logprobs(TEXTS), exact, atol=near)


def test_a_round_on_a_base_in_four_bit_publishes_two_files(places: Places) -> None:
    pytest.importorskip("bitsandbytes")
    # Of 16 answers in four bit one may say nothing.
    ended = start(places, BASE, plan(quantize="4bit", max_degenerate_gain=0.5))
    manifest = verify(places.adapters, "tiny-v1")
    assert ended.outcome == "published", ended.why
    assert manifest.curves["loss"][-1] < manifest.curves["loss"][0]
    assert {CONFIG, WEIGHTS} < manifest.files.keys()
    continued = load_policy(places.base, places.adapters / "tiny-v1", plan(quantize="4bit"))
    assert not torch.equal(continued.logprobs(TEXTS), continued.logprobs(TEXTS, "base"))


def test_two_processes_on_one_gpu_learn_what_one_does(first: Places, places: Places) -> None:
    exact = plan(precision="float32")
    alone = start(replace(places, adapters=places.adapters / "alone"), BASE, exact).manifest
    both = start(places, BASE, exact.model_copy(update={"processes": 2})).manifest
    assert alone and both
    assert both.curves["loss"] == pytest.approx(alone.curves["loss"], rel=1e-3)


def test_a_share_of_the_memory_is_kept_and_the_complaint_names_it() -> None:
    small = PLAN.model_copy(update={"gpu_memory_share": 0.01})
    eighth = torch.cuda.get_device_properties().total_memory // 8
    told = r"gpu_memory_share is 0\.01 of \d+ GiB.*set checkpointing.*packed_tokens \(8192\)"
    with pytest.raises(RoundFailed, match=told), within_share(small):
        torch.empty(eighth, dtype=torch.uint8, device="cuda")
    with within_share(PLAN.model_copy(update={"gpu_memory_share": 0.2})):
        torch.empty(eighth, dtype=torch.uint8, device="cuda")
    assert torch.cuda.memory_reserved() < eighth  # others may have it again


def test_a_round_ends_well_within_its_share(places: Places) -> None:
    ended = start(places, BASE, plan(gpu_memory_share=0.1))
    assert ended.outcome == "published", ended.why
