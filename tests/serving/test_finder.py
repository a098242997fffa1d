"""An adapter is found by its name, or it is said why not, whatever kind of store it lies in."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.cache import Cache
from serving.finder import Finder, OversizedAdapter, WithdrawnAdapter
from serving.store import Store, StoreAway
from tests.serving.stores import Told, published, told_store
from trainer.adapters import (
    DRAFTS,
    MANIFEST,
    CorruptAdapter,
    UnknownAdapter,
    bring_back,
    mark_of,
    verify,
    withdraw,
)


@pytest.fixture
def told() -> Iterator[Told]:
    with told_store() as told:
        yield told


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    published(folder, "m-v1")
    return folder


def finder(store: Path, scheme: str = "told", *, max_bytes: int = 1000) -> Finder:
    """With no scheme the folder is used in place."""
    at = f"{scheme}://{store}" if scheme else store
    return Finder(Store(at), Cache(store.parent / "cache", 4), max_bytes)


@pytest.fixture(params=["", "told"])
def find(request: pytest.FixtureRequest, store: Path, told: Told) -> Finder:
    return finder(store, request.param)


def test_a_published_adapter_is_found(find: Finder, store: Path) -> None:
    path = find.find("m-v1", 16)
    assert path.is_absolute()
    assert verify(path.parent, "m-v1") == verify(store, "m-v1")


@pytest.mark.parametrize("name", ["m-v2", "m", "../store/m-v1", "m-v1/", ""])
def test_what_is_not_published_is_unknown(find: Finder, name: str) -> None:
    with pytest.raises(UnknownAdapter):
        find.find(name, None)


def test_what_is_no_adapters_name_is_not_even_asked_for(store: Path, told: Told) -> None:
    with pytest.raises(UnknownAdapter):
        finder(store).find("../store/m-v1", None)
    assert told.asked == []


def test_half_an_adapter_is_not_published(find: Finder, store: Path) -> None:
    published(store, "m-v2")
    (store / "m-v2" / MANIFEST).unlink()
    with pytest.raises(UnknownAdapter):
        find.find("m-v2", None)


@pytest.mark.parametrize("harm", ["changed", "gone"])
def test_a_changed_adapter_is_corrupt(find: Finder, store: Path, harm: str) -> None:
    weights = store / "m-v1" / "weights"
    weights.write_bytes(b"other") if harm == "changed" else weights.unlink()
    with pytest.raises(CorruptAdapter, match="m-v1/weights"):
        find.find("m-v1", None)


def test_a_manifest_that_names_files_elsewhere_is_corrupt(find: Finder, store: Path) -> None:
    path = store / "m-v1" / MANIFEST
    path.write_text(path.read_text().replace('"weights"', '"../weights"'))
    with pytest.raises(CorruptAdapter, match=r"lists '\.\./weights'; expected the name of a file"):
        find.find("m-v1", None)


def test_a_withdrawn_adapter_is_refused_with_the_reason_until_it_is_brought_back(
    find: Finder, store: Path
) -> None:
    find.find("m-v1", None)  # it is in the cache
    withdraw(store, "m-v1", "it was rude", "ann")
    with pytest.raises(WithdrawnAdapter, match=r"it was withdrawn: it was rude \(ann, 20.* UTC\)"):
        find.find("m-v1", None)
    bring_back(store, "m-v1")
    find.find("m-v1", None)


def test_a_mark_that_cannot_be_read_withdraws_as_well(find: Finder, store: Path) -> None:
    (store / mark_of("m-v1")).write_text("{}")
    with pytest.raises(WithdrawnAdapter, match="its mark cannot be read: at: Field required"):
        find.find("m-v1", None)


def test_more_bytes_than_allowed_are_refused_before_anything_is_fetched(
    store: Path, told: Told
) -> None:
    published(store, "m-v2", weights=b"0" * 993)  # and 8 of the config
    with pytest.raises(OversizedAdapter, match="it has 1001 bytes; expected 1000 at most"):
        finder(store).find("m-v2", None)
    assert told.fetched == []
    finder(store, max_bytes=1001).find("m-v2", None)


@pytest.mark.parametrize(
    "config", ['{"r": 32}', '{"r": 8, "rank_pattern": {"q_proj": 32}}', '{"r": null}', "[]", "{"]
)
def test_a_rank_above_the_engines_is_refused_before_anything_is_fetched(
    store: Path, told: Told, config: str
) -> None:
    published(store, "m-v2", config)
    said = r"its rank is 32; this engine takes 16 at most|m-v2/adapter_config.json: "
    with pytest.raises((OversizedAdapter, CorruptAdapter), match=said):
        finder(store).find("m-v2", 16)
    assert told.fetched == []


def test_a_rank_as_high_as_the_engines_is_taken(find: Finder, store: Path) -> None:
    published(store, "m-v2", '{"r": 16, "rank_pattern": {"q_proj": 8}}')
    find.find("m-v2", 16)
    published(store, "m-v3", '{"r": 512}')
    find.find("m-v3", None)  # nobody has told yet


def test_an_adapter_is_fetched_once(store: Path, told: Told) -> None:
    for _ in range(2):
        finder(store).find("m-v1", None)
    assert sorted(told.fetched) == ["adapter_config.json", "weights"]


def test_a_store_that_is_away_is_said_to_be_and_asked_again_the_next_time(
    store: Path, told: Told
) -> None:
    find = finder(store)
    told.away = RuntimeError("of a kind of its own")
    with pytest.raises(StoreAway, match="RuntimeError: of a kind of its own"):
        find.find("m-v1", None)
    told.away = None
    find.find("m-v1", None)


def test_what_is_in_the_cache_is_served_while_the_store_is_away(
    store: Path, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    first = finder(store).find("m-v1", None)
    told.away = TimeoutError()
    assert finder(store).find("m-v1", None) == first
    assert "m-v1 is taken from the cache as it is" in caplog.text


def test_a_folder_that_is_away_is_not_made_up_for_by_the_cache(store: Path, told: Told) -> None:
    finder(store).find("m-v1", None)
    manifest = store / "m-v1" / MANIFEST
    manifest.unlink()
    manifest.mkdir()  # no error of a file that is missing
    with pytest.raises(StoreAway, match="IsADirectoryError"):
        finder(store, "").find("m-v1", None)


def test_a_fetch_that_breaks_off_leaves_nothing_and_the_next_one_tries_again(
    store: Path, told: Told
) -> None:
    told.breaks_at = "weights"
    with pytest.raises(StoreAway, match="ConnectionResetError: in the middle"):
        finder(store).find("m-v1", None)
    cache = store.parent / "cache"
    assert [path.name for path in cache.iterdir()] == [".lock"]
    told.breaks_at = None
    finder(store).find("m-v1", None)


def test_a_folder_is_taken_as_it_is_called(tmp_path: Path) -> None:
    published(tmp_path / "a::b", "m-v1")
    assert Store(tmp_path / "a::b").manifest("m-v1").name == "m-v1"


def test_an_address_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match=r"address is 's4://b/a'; expected one that fsspec knows"):
        Store("s4://b/a")


def test_nothing_of_the_web_comes_along() -> None:
    program = "import serving.finder, sys; print({'fastapi', 'starlette', 's3fs'} & {*sys.modules})"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.stdout == "set()\n", ran.stderr


def test_a_draft_is_found_in_a_folder_of_its_own_by_its_own_name_alone(
    find: Finder, store: Path
) -> None:
    name = f"m-draft-{'0123456789abcdef'}-v0"
    published(store / DRAFTS, name)
    assert verify(find.find(name, 16).parent, name) == verify(store / DRAFTS, name)
    published(store / DRAFTS, "m-v7")
    published(store, f"m-draft-{'f' * 16}-v0")
    for elsewhere in ("m-v7", f"m-draft-{'f' * 16}-v0"):
        with pytest.raises(UnknownAdapter):
            find.find(elsewhere, 16)
