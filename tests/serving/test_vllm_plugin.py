"""The plug-in without an engine; `tests/integration/test_resolver.py` has it in one."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from serving.cache import Cache
from serving.finder import Finder
from serving.idle import Idle
from serving.store import Store
from tests.serving.stores import Told, published, told_store
from trainer.adapters import withdraw

if TYPE_CHECKING:  # importing vLLM takes seconds
    from serving.vllm_plugin import StoreResolver

pytestmark = [
    pytest.mark.integration,
    pytest.mark.anyio,
    # What vLLM imports of torch.
    pytest.mark.filterwarnings("ignore:.*torch.jit.* is deprecated:DeprecationWarning"),
]


@pytest.fixture
def registered() -> Iterator[Mapping[str, object]]:
    from vllm.lora.resolver import LoRAResolverRegistry

    yield LoRAResolverRegistry.resolvers
    LoRAResolverRegistry.resolvers.pop("thumbwheel", None)


@pytest.fixture
def told() -> Iterator[Told]:
    with told_store() as told:
        yield told


@pytest.fixture
def store(tmp_path: Path) -> Path:
    published(tmp_path / "store", "model-v1")
    return tmp_path / "store"


def resolver(store: Path, at: str = "", seconds: float = 10.0) -> "StoreResolver":
    from serving.vllm_plugin import StoreResolver

    finder = Finder(Store(at or store), Cache(store.parent / "cache", 4), 1000)
    return StoreResolver(finder, Idle(4, 600), seconds)


async def test_without_a_store_it_does_nothing(
    registered: Mapping[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    from serving.vllm_plugin import register

    monkeypatch.delenv("THUMBWHEEL_ADAPTERS", raising=False)
    register()
    assert "thumbwheel" not in registered


@pytest.mark.parametrize("at", ["store", "s3://bucket/adapters"])
async def test_called_twice_it_registers_once_and_reaches_for_nothing(
    registered: Mapping[str, object], monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    from serving.vllm_plugin import register

    monkeypatch.setenv("THUMBWHEEL_ADAPTERS", at)
    register()
    first = registered["thumbwheel"]
    register()
    assert registered["thumbwheel"] is first


async def test_the_resolver_learns_the_engines_highest_rank(
    registered: Mapping[str, object], monkeypatch: pytest.MonkeyPatch, store: Path
) -> None:
    from vllm.exceptions import VLLMUnprocessableEntityError

    from serving.vllm_plugin import EngineLimits, StoreResolver, register

    monkeypatch.setenv("THUMBWHEEL_ADAPTERS", str(store))
    published(store, "model-v2", '{"r": 32}')
    register()
    found = registered["thumbwheel"]
    assert isinstance(found, StoreResolver)
    assert await found.resolve_lora("tiny", "model-v2")
    # The part of vLLM's that is read; a whole one takes a model.
    EngineLimits(SimpleNamespace(lora_config=SimpleNamespace(max_lora_rank=16)))  # type: ignore[arg-type]  # all it reads
    with pytest.raises(VLLMUnprocessableEntityError, match="its rank is 32; this engine takes 16"):
        await found.resolve_lora("tiny", "model-v2")


async def test_a_published_adapter_is_found_by_name(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from serving.vllm_plugin import StoreResolver

    monkeypatch.chdir(store.parent)
    finder = Finder(Store(Path(store.name)), Cache(store.parent / "cache", 4), 1000)
    found = await StoreResolver(finder, Idle(4, 600)).resolve_lora("tiny", "model-v1")
    assert found is not None
    # Whole, because vLLM's processes may stand elsewhere.
    assert (found.lora_name, found.lora_path) == ("model-v1", str(store / "model-v1"))


async def test_an_adapter_that_there_is_not_is_not_found(store: Path) -> None:
    for name in ("model-v2", "model", "../model-v1", ""):
        assert await resolver(store).resolve_lora("tiny", name) is None


async def test_a_changed_adapter_is_refused_with_a_reason(store: Path) -> None:
    from vllm.exceptions import VLLMUnprocessableEntityError

    (store / "model-v1" / "adapter_config.json").write_text("{ }")
    with pytest.raises(VLLMUnprocessableEntityError, match="its manifest says"):
        await resolver(store).resolve_lora("tiny", "model-v1")


async def test_a_withdrawn_adapter_is_a_conflict(store: Path) -> None:
    from vllm.exceptions import GracefulHTTPError

    withdraw(store, "model-v1", "it was rude", "ann")
    with pytest.raises(GracefulHTTPError, match="it was rude") as refused:
        await resolver(store).resolve_lora("tiny", "model-v1")
    assert refused.value.http_status == 409


async def test_a_store_that_is_away_can_be_tried_again_and_its_address_is_for_the_log_alone(
    store: Path, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    from vllm.exceptions import RetryableRequestError

    told.away = RuntimeError("no route to secret.example")
    mine = resolver(store, f"told://{store}")
    with pytest.raises(RetryableRequestError) as refused:
        await mine.resolve_lora("tiny", "model-v1")
    assert refused.value.status_code == 503
    assert str(refused.value) == "adapter model-v1 cannot be fetched now; try again"
    told.away = None
    assert await mine.resolve_lora("tiny", "model-v1")


async def test_a_slow_store_is_given_up_on_but_what_it_brings_is_taken_by_the_next_request(
    store: Path, told: Told
) -> None:
    from vllm.exceptions import RetryableRequestError

    told.seconds = 0.1
    mine = resolver(store, f"told://{store}", seconds=0.02)
    for _ in range(2):
        with pytest.raises(RetryableRequestError):
            await mine.resolve_lora("tiny", "model-v1")
    await asyncio.gather(*mine._under_way.values())
    assert told.asked.count("manifest.json") == 1  # both waited for one search
    told.seconds = 0.0
    assert await mine.resolve_lora("tiny", "model-v1")
    assert told.fetched.count("weights") == 1
