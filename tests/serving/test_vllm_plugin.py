"""The plug-in without an engine; `tests/integration/test_engine.py` has it in one."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from trainer.adapters import claim_name, publish
from trainer.blank import blank_manifest

# Importing vLLM takes seconds.
pytestmark = [pytest.mark.integration, pytest.mark.anyio]


@pytest.fixture
def registered() -> Iterator[Mapping[str, object]]:
    from vllm.lora.resolver import LoRAResolverRegistry

    yield LoRAResolverRegistry.resolvers
    LoRAResolverRegistry.resolvers.pop("thumbwheel", None)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = claim_name(tmp_path, "model-v1")
    (folder / "adapter_config.json").write_text("{}")
    publish(folder, blank_manifest("model-v1", "tiny"))
    return tmp_path


async def test_without_a_folder_it_does_nothing(
    registered: Mapping[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    from serving.vllm_plugin import register

    monkeypatch.delenv("THUMBWHEEL_ADAPTERS", raising=False)
    register()
    assert "thumbwheel" not in registered


async def test_called_twice_it_registers_once(
    registered: Mapping[str, object], monkeypatch: pytest.MonkeyPatch, store: Path
) -> None:
    from serving.vllm_plugin import register

    monkeypatch.setenv("THUMBWHEEL_ADAPTERS", str(store))
    register()
    first = registered["thumbwheel"]
    register()
    assert registered["thumbwheel"] is first


async def test_a_published_adapter_is_found_by_name(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from serving.vllm_plugin import StoreResolver

    monkeypatch.chdir(store.parent)
    found = await StoreResolver(Path(store.name)).resolve_lora("tiny", "model-v1")
    assert found is not None
    # Whole, because vLLM's processes may stand elsewhere.
    assert (found.lora_name, found.lora_path) == ("model-v1", str(store / "model-v1"))


async def test_an_adapter_that_there_is_not_is_not_found(store: Path) -> None:
    from serving.vllm_plugin import StoreResolver

    for name in ("model-v2", "model", "../model-v1", ""):
        assert await StoreResolver(store).resolve_lora("tiny", name) is None


async def test_a_changed_adapter_is_refused_with_a_reason(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from vllm.exceptions import VLLMUnprocessableEntityError

    from serving.vllm_plugin import StoreResolver

    (store / "model-v1" / "adapter_config.json").write_text("{ }")
    with pytest.raises(VLLMUnprocessableEntityError, match="its manifest says"):
        await StoreResolver(store).resolve_lora("tiny", "model-v1")
