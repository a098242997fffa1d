from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.engine import RunningEngine, running_engine
from tests.integration.tiny import make_adapter, make_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="package")
def vllm(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """Real vLLM over the tiny model: publish into its folder, under names no other file uses."""
    folder = tmp_path_factory.mktemp("vllm")
    (folder / "adapters").mkdir()
    with running_engine(tiny_model, folder / "adapters", folder / "vllm.log") as engine:
        yield engine


@pytest.fixture(scope="package")
def adapter(vllm: RunningEngine) -> str:
    """The first of them, which all files use."""
    make_adapter(vllm.model, vllm.adapters, "model-v1")
    return "model-v1"
