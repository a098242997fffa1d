"""A round on a GPU, in bfloat16. Must run with torch 2.11 and Transformers 5.17 too."""

from pathlib import Path

import pytest
import torch

from feedback.events import BASE
from tests.trainer.compared import plan_of
from tests.trainer.tiny import PLAN, make_model, quiet, rated, settle
from trainer.adapters import verify
from trainer.load import load_policy
from trainer.policy import Policy
from trainer.run import Places, run_round

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
    # Versions beside the pinned ones may warn of other things.
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("base"))


@pytest.fixture
def policy(base: Path) -> Policy:
    return load_policy(str(base), None, PLAN)


@pytest.fixture
def places(base: Path, policy: Policy, tmp_path: Path) -> Places:
    settle(tmp_path / "examples", list(rated(policy, BASE, range(96))), start=0, end=96)
    return Places(
        base=str(base),
        series="tiny",
        examples=tmp_path / "examples",
        adapters=tmp_path / "adapters",
        state=tmp_path / "state",
    )


def test_the_lora_learns_in_float32(policy: Policy) -> None:
    # Steps of a small learning rate would vanish in bfloat16.
    assert policy.device.type == "cuda"
    assert {parameter.dtype for parameter in policy.parameters()} == {torch.float32}


def test_a_round_lifts_the_liked_answers(places: Places) -> None:
    ended = run_round(places, BASE, PLAN, tell=quiet)
    manifest = verify(places.adapters, "tiny-v1")
    assert ended.outcome == "published", ended.why
    assert manifest.kl["parent"].value > 0
    assert manifest.curves["loss"][-1] < manifest.curves["loss"][0]
    # bfloat16: up to 0.05 a token between two batch shapes.
    assert manifest.scores["logprob_gap"] < 0.1


@pytest.mark.parametrize("method", ["ppo", "rloo", "online_dpo"])
def test_an_online_round_draws_scores_and_learns(places: Places, method: str) -> None:
    ended = run_round(places, BASE, plan_of(method), tell=quiet)
    assert ended.manifest is not None, ended.why
    curves = ended.manifest.curves
    assert len(curves["reward"]) == len(curves["reward_auroc"]) == PLAN.epochs
    assert ended.manifest.kl["parent"].value > 0


def test_a_round_continues_what_it_saved(places: Places) -> None:
    run_round(places, BASE, PLAN, tell=quiet)
    parent = load_policy(places.base, places.adapters / "tiny-v1", PLAN)
    settle(places.examples, list(rated(parent, "tiny-v1", range(96, 192))), start=96, end=192)
    ended = run_round(places, "tiny-v1", PLAN, tell=quiet)
    assert ended.manifest is not None
    assert ended.manifest.parent == "tiny-v1"
    assert ended.manifest.scores["logprob_gap"] < 0.1
