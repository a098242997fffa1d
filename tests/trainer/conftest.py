from pathlib import Path

import pytest
import torch

from tests.trainer.tiny import PLAN, make_model
from trainer.load import load_policy
from trainer.policy import Policy
from trainer.run import Places


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)  # two wait for each other where the cores are busy
    return make_model(tmp_path_factory.mktemp("base"))


@pytest.fixture
def policy(base: Path) -> Policy:
    return load_policy(str(base), None, PLAN)


@pytest.fixture
def places(base: Path, tmp_path: Path) -> Places:
    return Places(
        base=str(base),
        series="tiny",
        examples=tmp_path / "examples",
        adapters=tmp_path / "adapters",
        state=tmp_path / "state",
    )
