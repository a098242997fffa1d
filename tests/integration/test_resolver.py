"""The resolver in real vLLM, with adapters on a real S3 endpoint."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import torch
from safetensors.torch import load, save

from ops.history import splits
from tests.integration.engine import RunningEngine, running_engine
from tests.integration.processes import tail
from tests.integration.test_controllers import controllers
from tests.integration.test_engine import ask
from tests.integration.tiny import make_adapter
from tests.ops.made import PASSED, Place
from tests.serving.s3 import RunningS3, running_s3
from trainer.adapters import claim_name, mark_of, publish, withdraw
from trainer.blank import blank_manifest
from trainer.lora_files import CONFIG, WEIGHTS

pytestmark = [pytest.mark.integration, pytest.mark.alone]
MANY = [f"model-v{number}" for number in range(1, 13)]
SLOTS = 4  # --max-loras of the engine; --max-cpu-loras is as many
KEPT = 5  # names and files
MAX_BYTES = 400_000
Put = Callable[..., Path]


@pytest.fixture(scope="module")
def s3() -> Iterator[RunningS3]:
    with running_s3() as s3:
        yield s3


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("resolver")


@pytest.fixture(scope="module")
def engine(s3: RunningS3, home: Path, tiny_model: Path) -> Iterator[RunningEngine]:
    env = s3.env | {
        "THUMBWHEEL_ADAPTERS": s3.url,
        "THUMBWHEEL_ENGINE_CACHE": str(home / "cache"),
        "THUMBWHEEL_ENGINE_CACHE_ADAPTERS": str(KEPT),
        "THUMBWHEEL_ENGINE_ADAPTER_MAX_BYTES": str(MAX_BYTES),
        # A request that is slower than this could find its files gone; here they come in turn.
        "THUMBWHEEL_ENGINE_IDLE_SECONDS": "0.01",
        "FSSPEC_S3": '{"config_kwargs": {"connect_timeout": 1, "read_timeout": 1}}',
        "THUMBWHEEL_ENGINE_LEAVING": str(home / "leaving"),
        "VLLM_SERVER_DEV_MODE": "1",  # it tells which adapters it has in memory
    }
    tidy = ("--middleware", "serving.vllm_plugin.Tidy")
    with running_engine(
        tiny_model, home / "nothing", home / "vllm.log", more=tidy, env=env
    ) as engine:
        yield engine


@pytest.fixture(scope="module")
def put(s3: RunningS3, home: Path, tiny_model: Path) -> Put:
    """Publishes an adapter with weights of its own, and uploads it."""
    drawn = make_adapter(tiny_model, home / "drawn", "drawn-v1")

    def put(name: str, *, rank: int = 8, more_bytes: int = 0) -> Path:
        folder = claim_name(home / "made", name)
        (folder / CONFIG).write_text((drawn / CONFIG).read_text().replace('"r": 8', f'"r": {rank}'))
        torch.manual_seed(int(name.rpartition("-v")[2]))
        weights = load((drawn / WEIGHTS).read_bytes())
        (folder / WEIGHTS).write_bytes(
            save({k: torch.randn_like(w) / 2 for k, w in weights.items()})
        )
        (folder / "more").write_bytes(b"0" * more_bytes)
        publish(folder, blank_manifest(name, str(tiny_model)))
        s3.upload(folder)
        return folder

    return put


def words(engine: RunningEngine, name: str) -> str:
    # With random weights some adapters would end at once, and two of those are alike.
    answer = ask(engine.url, name, ignore_eos=True, return_token_ids=True)
    assert (answer.status_code, answer.json()["model"]) == (200, name), answer.text
    return str(answer.json()["choices"][0]["token_ids"])


def refused(engine: RunningEngine, name: str) -> tuple[int, str]:
    answer = ask(engine.url, name)
    return answer.status_code, answer.json()["error"]["message"]


def remembered(engine: RunningEngine) -> set[str]:
    """The adapters whose names vLLM knows, so that it may read their files at any time."""
    told = httpx.get(f"{engine.url}/v1/models", timeout=60).json()["data"]
    return {one["id"] for one in told} - {"model"}


def cached(home: Path) -> set[str]:
    return {path.name for path in (home / "cache").iterdir() if not path.name.startswith(".")}


def in_memory(engine: RunningEngine) -> set[int]:
    told = httpx.post(f"{engine.url}/collective_rpc", json={"method": "list_loras"}, timeout=60)
    (found,) = told.json()["results"]
    return set(found)


def test_twelve_adapters_in_four_slots_all_answer_as_themselves_again_and_again(
    engine: RunningEngine, put: Put, home: Path
) -> None:
    for name in MANY:
        put(name)
    first: dict[str, str] = {}
    sizes = []
    for name in [*MANY, *reversed(MANY), *MANY]:
        answer = words(engine, name)
        assert first.setdefault(name, answer) == answer
        sizes.append((len(in_memory(engine)), len(remembered(engine)), len(cached(home))))
    assert len(set(first.values())) == len(MANY)
    # On the disk one more: it goes when the next one comes.
    assert [max(kept) for kept in zip(*sizes, strict=True)] == [SLOTS, KEPT, KEPT + 1]


def test_an_unknown_adapter_is_a_404(engine: RunningEngine) -> None:
    status, said = refused(engine, "model-v99")
    assert (status, "model-v99" in said) == (404, True)


def test_a_withdrawn_adapter_is_a_409_with_the_reason_until_it_is_brought_back(
    engine: RunningEngine, put: Put, home: Path, s3: RunningS3
) -> None:
    put("model-v20")
    withdraw(home / "made", "model-v20", "it was rude", "ann")
    s3.upload(home / "made" / mark_of("model-v20"))
    status, said = refused(engine, "model-v20")
    assert status == 409
    assert "adapter model-v20 is refused: it was withdrawn: it was rude (ann, " in said
    s3.remove(mark_of("model-v20"))
    words(engine, "model-v20")


def test_an_oversized_adapter_is_a_422_that_names_both_numbers_and_is_not_fetched(
    engine: RunningEngine, put: Put, home: Path
) -> None:
    put("model-v30", rank=32)
    status, said = refused(engine, "model-v30")
    assert (status, "its rank is 32; this engine takes 16 at most" in said) == (422, True), said
    large = put("model-v31", more_bytes=MAX_BYTES)
    size = sum(path.stat().st_size for path in large.iterdir() if path.name != "manifest.json")
    status, said = refused(engine, "model-v31")
    assert status == 422
    assert f"it has {size} bytes; expected {MAX_BYTES} at most" in said
    assert not {"model-v30", "model-v31"} & cached(home)


def test_a_corrupt_adapter_is_a_422_and_leaves_nothing(
    engine: RunningEngine, put: Put, home: Path, s3: RunningS3
) -> None:
    folder = put("model-v40")
    with (folder / WEIGHTS).open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\x00\x00\x80\x3f")
    s3.upload(folder)
    status, said = refused(engine, "model-v40")
    assert (status, "its manifest says" in said) == (422, True)
    assert "model-v40" not in cached(home)
    shutil.rmtree(folder)
    put("model-v40")
    words(engine, "model-v40")


def test_a_store_that_is_away_is_a_503_and_the_next_request_tries_again(
    engine: RunningEngine, put: Put, s3: RunningS3
) -> None:
    put("model-v50")
    loaded = words(engine, "model-v40")
    with s3.hanging():
        away = ask(engine.url, "model-v50")
        assert away.status_code == 503
        error = away.json()["error"]
        assert error["message"] == "adapter model-v50 cannot be fetched now; try again"
        assert error["type"] == "ServiceUnavailableError"  # vLLM's own 503s are of another
        assert words(engine, "model-v40") == loaded
    words(engine, "model-v50")


def test_what_a_round_publishes_is_copied_to_the_store_before_it_is_tried(
    engine: RunningEngine, home: Path, s3: RunningS3, put: Put, tiny_model: Path
) -> None:
    place = Place(home / "loop")
    made = put("m-v1")
    folder = claim_name(place.adapters, "m-v1")
    for file in (CONFIG, WEIGHTS):
        shutil.copy(made / file, folder)
    s3.remove("m-v1")
    publish(folder, blank_manifest("m-v1", str(tiny_model)).model_copy(update={"gates": PASSED}))
    more = s3.env | {"THUMBWHEEL_OPS_COPIES": s3.url}
    with closing(place.log), controllers(place, engine.url, 1, more) as (ops,):
        end = time.monotonic() + 30
        while not (found := splits(place.log)) or found[-1].canary != "m-v1":
            assert time.monotonic() < end, tail(ops)
            time.sleep(0.1)
    assert "m-v1" in remembered(engine)


def test_an_engine_that_leaves_takes_nothing_new_and_ends_what_it_has_begun(
    engine: RunningEngine, home: Path
) -> None:
    body = {"model": "model", "prompt": "Hello", "max_tokens": 300, "ignore_eos": True}
    with httpx.stream(
        "POST", f"{engine.url}/v1/completions", json={**body, "stream": True}, timeout=60
    ) as begun:
        lines = (line for line in begun.iter_lines() if line)
        next(lines)
        (home / "leaving").touch()
        assert refused(engine, "model") == (503, "this engine is being stopped")
        assert httpx.get(f"{engine.url}/health", timeout=60).status_code == 200
        assert [line for line in lines][-1] == "data: [DONE]"
    (home / "leaving").unlink()
    words(engine, "model")
