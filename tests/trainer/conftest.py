from pathlib import Path
from shutil import copytree

import pytest
import torch

from tests.trainer.compared import judged_by_users
from tests.trainer.tiny import PLAN, make_model
from trainer.load import load_policy
from trainer.policy import Policy
from trainer.run import Places
from trainer.words import Words, load_words


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


@pytest.fixture(scope="session")
def words(base: Path) -> Words:
    found = load_words(str(base))
    assert found is not None
    return found


@pytest.fixture(scope="session")
def said(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Examples. Not to be changed."""
    folder = tmp_path_factory.mktemp("said")
    judged_by_users(base, folder, 120)
    return folder


@pytest.fixture
def judged(said: Path, places: Places) -> Places:
    """Where a round has them to learn from."""
    copytree(said, places.examples)
    return places


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge is asked as the environment says; ours is on this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
