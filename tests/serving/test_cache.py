"""Fetched adapters on one machine, with real processes."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NoReturn

import pytest

from serving.cache import Cache
from tests.serving.stores import published
from trainer.adapters import CorruptAdapter, Manifest, load, verify

PROCESSES = multiprocessing.get_context("fork")
Made = dict[str, Manifest]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for number in range(1, 6):
        published(tmp_path / "store", f"m-v{number}")
    return tmp_path / "store"


@pytest.fixture
def others() -> Iterator[list[BaseProcess]]:
    started: list[BaseProcess] = []
    yield started
    for process in started:
        process.kill()
        process.join()


class Copying:
    """Copies from the store, and writes down how often."""

    def __init__(self, store: Path, seconds: float = 0.0) -> None:
        self.store, self.seconds, self.diary = store, seconds, store.parent / "diary"

    def __call__(self, manifest: Manifest, folder: Path) -> None:
        with self.diary.open("a") as diary:
            diary.write(f"{manifest.name}\n")
        for file in manifest.files:
            time.sleep(self.seconds)
            (folder / file).write_bytes((self.store / manifest.name / file).read_bytes())

    @property
    def fetched(self) -> list[str]:
        return self.diary.read_text().split()


def hold(store: Path, cache: Cache, *names: str) -> None:
    for name in names:
        cache.hold(load(store, name), Copying(store))


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def holding(store: Path, folder: Path, *names: str) -> None:
    """A process that holds them until it is killed."""
    hold(store, Cache(folder, 2), *names)
    (folder / ".holding").touch()
    signal.pause()


def dying(store: Path, folder: Path) -> None:
    def die(manifest: Manifest, to: Path) -> NoReturn:
        (to / "weights").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    Cache(folder, 2).hold(load(store, "m-v1"), die)


def fetching(store: Path, folder: Path) -> None:
    path = Cache(folder, 2).hold(load(store, "m-v1"), Copying(store, seconds=0.05))
    verify(path.parent, "m-v1")


def test_processes_that_want_one_adapter_at_once_fetch_it_once(
    store: Path, others: list[BaseProcess]
) -> None:
    folder = store.parent / "cache"
    others += [PROCESSES.Process(target=fetching, args=(store, folder)) for _ in range(3)]
    for process in others:
        process.start()
    for process in others:
        process.join(20)
    assert [process.exitcode for process in others] == [0, 0, 0]
    assert Copying(store).fetched == ["m-v1"]


def test_who_is_killed_while_fetching_leaves_nothing_that_could_be_taken_for_an_adapter(
    store: Path, others: list[BaseProcess]
) -> None:
    folder = store.parent / "cache"
    others.append(PROCESSES.Process(target=dying, args=(store, folder)))
    others[0].start()
    others[0].join(20)
    assert others[0].exitcode == -signal.SIGKILL
    cache = Cache(folder, 2)
    assert (kept(folder), cache.known("m-v1")) == ([], None)
    hold(store, cache, "m-v1")
    assert kept(folder) == ["m-v1"]
    assert not (folder / ".drafts").exists()


def test_what_nobody_holds_goes_the_least_recently_used_first(store: Path) -> None:
    folder = store.parent / "cache"
    # Each is gone at once, as if every one were a process of its own that ended.
    for name in ("m-v1", "m-v2", "m-v1", "m-v3"):
        ended(store, folder, name)
    assert kept(folder) == ["m-v1", "m-v3"]
    ended(store, folder, "m-v4")
    assert kept(folder) == ["m-v3", "m-v4"]


def ended(store: Path, folder: Path, name: str) -> None:
    process = PROCESSES.Process(target=hold, args=(store, Cache(folder, 2), name))
    process.start()
    process.join(20)
    assert process.exitcode == 0
    process.close()


def test_what_a_living_process_was_handed_stays_and_goes_when_that_has_ended(
    store: Path, others: list[BaseProcess]
) -> None:
    folder = store.parent / "cache"
    args = (store, folder, "m-v1", "m-v2", "m-v3")
    others.append(PROCESSES.Process(target=holding, args=args))
    others[0].start()
    until_there(folder / ".holding")
    for name in ("m-v4", "m-v5"):
        ended(store, folder, name)
    assert kept(folder) == ["m-v1", "m-v2", "m-v3", "m-v5"]
    others[0].kill()
    others[0].join()
    ended(store, folder, "m-v4")
    assert kept(folder) == ["m-v4", "m-v5"]


def until_there(path: Path) -> None:
    end = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_was_damaged_in_the_cache_is_fetched_again(store: Path) -> None:
    folder = store.parent / "cache"
    ended(store, folder, "m-v1")
    (folder / "m-v1" / "weights").write_bytes(b"damaged")
    path = Cache(folder, 2).hold(load(store, "m-v1"), Copying(store))
    assert verify(path.parent, "m-v1").name == "m-v1"
    assert Copying(store).fetched == ["m-v1", "m-v1"]


def test_what_was_damaged_while_an_engine_uses_it_is_refused_and_left(store: Path) -> None:
    folder = store.parent / "cache"
    mine = Cache(folder, 2)
    hold(store, mine, "m-v1")
    (folder / "m-v1" / "weights").write_bytes(b"damaged")
    with pytest.raises(CorruptAdapter, match="m-v1 was changed in the cache while an engine"):
        Cache(folder, 2).hold(load(store, "m-v1"), Copying(store))
    assert (folder / "m-v1" / "weights").read_bytes() == b"damaged"


def test_a_fetch_that_brings_other_bytes_than_the_manifest_says_is_refused(store: Path) -> None:
    (store / "m-v1" / "weights").write_bytes(b"other")
    folder = store.parent / "cache"
    with pytest.raises(CorruptAdapter, match="m-v1/weights has digest"):
        hold(store, Cache(folder, 2), "m-v1")
    assert kept(folder) == []
