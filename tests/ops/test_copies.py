"""The adapters folder copied to a real S3 endpoint, and to another folder."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import fsspec
import pytest
from prometheus_client import CollectorRegistry

from feedback.log import LogAway
from ops.act import CannotLoad
from ops.copies import Copies
from ops.metrics import Metrics
from serving.cache import Cache
from serving.store import Store, StoreAway
from tests.ops.made import Place
from tests.serving.gateway import until
from tests.serving.s3 import RunningS3, running_s3
from trainer.adapters import Manifest, UnknownAdapter

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def s3() -> Iterator[RunningS3]:
    with running_s3() as s3:
        yield s3


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    if request.param == "folder":
        return Store(f"file://{tmp_path}/fetched from")
    s3: RunningS3 = request.getfixturevalue("s3")
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)  # where the library looks for it
    return Store(f"{s3.url}/{tmp_path.name}")


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


class Told:
    """Who leads, and who serves."""

    leads, served = True, frozenset[str]()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def copies(place: Place, store: Store, registry: CollectorRegistry, told: Told) -> Copies:
    return Copies(
        adapters=place.adapters,
        to=store,
        leads=lambda: told.leads,
        served=lambda: set(told.served),
        metrics=Metrics(registry),
    )


def look(copies: Copies, times: int = 4) -> None:
    for _ in range(times):
        copies.look()


def left(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("thumbwheel_ops_to_copy")


def test_an_engine_finds_what_was_published(place: Place, copies: Copies, tmp_path: Path) -> None:
    published = place.publish("m-v1")
    look(copies)
    copies.expect("m-v1")
    assert copies.to.manifest("m-v1") == published
    folder = Cache(tmp_path / "cache", 4).hold(published, copies.to.fetch)
    for file in published.files:
        assert (folder / file).read_bytes() == (place.adapters / "m-v1" / file).read_bytes()


def test_who_is_not_there_yet_is_not_tried_yet(place: Place, copies: Copies) -> None:
    place.publish("m-v1")
    with pytest.raises(ConnectionError, match="m-v1 is still being copied"):
        copies.expect("m-v1")


def test_what_is_not_published_is_not_copied(place: Place, copies: Copies) -> None:
    (place.adapters / "m-v1").mkdir(parents=True)
    look(copies)
    with pytest.raises(UnknownAdapter):
        copies.to.manifest("m-v1")


def test_who_serves_is_copied_first_and_then_the_newest(
    place: Place, copies: Copies, told: Told, registry: CollectorRegistry
) -> None:
    for name in ("m-v1", "m-v2", "m-v3"):
        place.publish(name)
    told.served = frozenset({"m-v1"})
    came = []
    for _ in range(3):
        assert copies.look()
        came += [
            name for name in ("m-v1", "m-v2", "m-v3") if is_there(copies, name) and name not in came
        ]
    assert came == ["m-v1", "m-v3", "m-v2"]
    assert not copies.look()
    assert left(registry) == 0


def is_there(copies: Copies, name: str) -> bool:
    try:
        copies.to.manifest(name)
    except UnknownAdapter:
        return False
    return True


def test_another_controller_goes_on_from_what_is_there(
    place: Place, copies: Copies, told: Told
) -> None:
    place.publish("m-v1")
    look(copies)
    told.leads = False
    place.publish("m-v2")
    look(copies)
    assert not is_there(copies, "m-v2"), "who does not lead changes nothing"
    metrics = Metrics(CollectorRegistry())
    other = Copies(place.adapters, copies.to, lambda: True, set, metrics)
    look(other)
    other.expect("m-v1")
    other.expect("m-v2")


@pytest.mark.parametrize("manifest", [b"", b'{"v": 1, "na'])
def test_what_was_half_sent_is_sent_again(place: Place, copies: Copies, manifest: bytes) -> None:
    published = place.publish("m-v1")
    whole = place.adapters / "m-v1" / "manifest.json"
    said = whole.read_bytes()
    whole.write_bytes(manifest)
    copies.to.publish(place.adapters / "m-v1", published)  # as a writer does that is killed
    whole.write_bytes(said)
    look(copies)
    copies.expect("m-v1")
    file = next(iter(published.files))
    assert copies.to.manifest("m-v1") == published
    assert copies.to.read(published, file) == (place.adapters / "m-v1" / file).read_bytes()


def test_another_adapter_of_that_name_is_left_alone_and_the_canary_refused(
    place: Place, copies: Copies, registry: CollectorRegistry, tmp_path: Path
) -> None:
    other = Place(tmp_path / "other")
    theirs = other.publish("m-v1", parent="m-v0")
    copies.to.publish(other.adapters / "m-v1", theirs)
    place.publish("m-v1")
    place.publish("m-v2")
    look(copies)
    with pytest.raises(CannotLoad, match="is another m-v1, of 20"):
        copies.expect("m-v1")
    copies.expect("m-v2")
    assert copies.to.manifest("m-v1") == theirs
    assert left(registry) == 1


def test_a_lost_file_is_told_once_and_holds_up_no_other(
    place: Place, copies: Copies, caplog: pytest.LogCaptureFixture
) -> None:
    place.publish("m-v1")
    place.publish("m-v2")
    (place.adapters / "m-v2" / "adapter_model.safetensors").unlink()
    look(copies)
    copies.expect("m-v1")
    with pytest.raises(CannotLoad, match=r"adapter_model\.safetensors is missing"):
        copies.expect("m-v2")
    assert len([one for one in caplog.records if "m-v2 is not copied" in one.message]) == 1


class Picky(Store):
    """Takes no m-v2."""

    def publish(self, folder: Path, manifest: Manifest) -> None:
        if manifest.name == "m-v2":
            raise StoreAway("too large")
        super().publish(folder, manifest)


def test_one_that_the_store_will_not_take_holds_up_no_other(
    place: Place, copies: Copies, tmp_path: Path
) -> None:
    place.publish("m-v1")
    place.publish("m-v2")
    copies.to = Picky(f"file://{tmp_path}/picky")
    with pytest.raises(StoreAway):
        copies.look()
    copies.look()
    copies.expect("m-v1")
    with pytest.raises(ConnectionError):
        copies.expect("m-v2")


@pytest.fixture
def quick(s3: RunningS3, monkeypatch: pytest.MonkeyPatch) -> RunningS3:
    """It is not waited for as long as usual."""
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)  # where the library looks for it
    config = {"config_kwargs": {"connect_timeout": 1, "read_timeout": 1}}
    monkeypatch.setitem(fsspec.config.conf, "s3", config)
    return s3


def test_while_the_store_is_away_it_is_counted_and_tried_again(
    place: Place, quick: RunningS3, registry: CollectorRegistry
) -> None:
    copies = Copies(
        place.adapters, Store(f"{quick.url}/away"), lambda: True, set, Metrics(registry)
    )
    place.publish("m-v1")
    place.publish("m-v2")
    with quick.hanging(), pytest.raises(StoreAway):
        copies.look()
    assert left(registry) == 2
    look(copies)
    copies.expect("m-v2")
    assert left(registry) == 0


def test_a_bucket_that_was_mistyped_is_not_made(
    place: Place, quick: RunningS3, registry: CollectorRegistry
) -> None:
    copies = Copies(
        place.adapters, Store("s3://thumbwheal/a"), lambda: True, set, Metrics(registry)
    )
    place.publish("m-v1")
    for _ in range(2):
        with pytest.raises(StoreAway):
            copies.look()
    assert left(registry) == 1


def test_while_the_log_or_the_volume_is_away_nothing_is_copied_and_it_goes_on_afterwards(
    place: Place, tmp_path: Path
) -> None:
    answers = iter([LogAway("gone"), OSError("the volume is away")])
    stop = Event()

    def leads() -> bool:
        for away in answers:
            raise away
        return True

    metrics = Metrics(CollectorRegistry())
    there = Store(f"file://{tmp_path}/there")
    copies = Copies(place.adapters, there, leads, set, metrics, 0.01, 0.01)
    place.publish("m-v1")
    thread = Thread(target=copies.run, args=(stop,))
    thread.start()
    try:
        until(lambda: is_there(copies, "m-v1"))
    finally:
        stop.set()
        thread.join()
