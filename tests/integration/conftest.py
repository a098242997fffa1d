from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.engine import RunningEngine, running_engine
from tests.integration.tiny import make_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def vllm(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """Real vLLM over the tiny model, with an empty adapters folder: publish into it."""
    folder = tmp_path_factory.mktemp("vllm")
    (folder / "adapters").mkdir()
    with running_engine(tiny_model, folder / "adapters", folder / "vllm.log") as engine:
        yield engine
