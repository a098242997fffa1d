"""The adapters folder copied to a real S3 endpoint, and to another folder."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from prometheus_client import CollectorRegistry

from ops.act import CannotLoad
from ops.copies import Copies
from ops.metrics import Metrics
from serving.cache import Cache
from serving.finder import Finder, WithdrawnAdapter
from serving.store import Store, StoreAway
from tests.ops.made import Place
from tests.serving.s3 import RunningS3, running_s3
from trainer.adapters import UnknownAdapter, bring_back, mark_of, withdraw

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
        monkeypatch.setenv(name, value)
    return Store(f"{s3.url}/{tmp_path.name}")


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


class Led:
    now = True

    def __call__(self) -> bool:
        return self.now


@pytest.fixture
def led() -> Led:
    return Led()


@pytest.fixture
def copies(place: Place, store: Store, registry: CollectorRegistry, led: Led) -> Copies:
    return Copies(place.adapters, store, led, Metrics(registry))


def test_an_engine_finds_what_was_published(place: Place, copies: Copies, tmp_path: Path) -> None:
    published = place.publish("m-v1")
    copies.look()
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
    copies.look()
    with pytest.raises(UnknownAdapter):
        copies.to.manifest("m-v1")


def test_marks_come_and_go(place: Place, copies: Copies) -> None:
    place.publish("m-v1")
    copies.look()
    withdraw(place.adapters, "m-v1", "it was rude", "ann")
    copies.look()
    assert "it was rude (ann, " in (copies.to.withdrawn("m-v1") or "")
    withdraw(place.adapters, "m-v1", "it was wrong, too", "ann")
    copies.look()
    assert "it was wrong, too" in (copies.to.withdrawn("m-v1") or "")
    bring_back(place.adapters, "m-v1")
    copies.look()
    assert copies.to.withdrawn("m-v1") is None
    copies.look()


def test_another_controller_goes_on_from_what_is_there(
    place: Place, copies: Copies, registry: CollectorRegistry, led: Led
) -> None:
    for name in ("m-v1", "m-v2"):
        place.publish(name)
        withdraw(place.adapters, name, "it was rude", "ann")
    copies.look()
    led.now = False
    bring_back(place.adapters, "m-v1")
    copies.look()
    assert copies.to.withdrawn("m-v1") is not None, "who does not lead changes nothing"
    other = Copies(place.adapters, copies.to, lambda: True, Metrics(CollectorRegistry()))
    other.look()
    other.expect("m-v1")
    assert other.to.withdrawn("m-v1") is None
    assert other.to.withdrawn("m-v2") is not None
    bring_back(place.adapters, "m-v2")
    led.now = True
    copies.look()
    assert copies.to.withdrawn("m-v2") is None


def test_what_was_half_sent_is_sent_again(place: Place, copies: Copies) -> None:
    published = place.publish("m-v1")
    file = next(iter(published.files))
    copies.to.publish(place.adapters / "m-v1", published.model_copy(update={"files": {}}))
    copies.to.unmark("m-v1/manifest.json")  # killed before it was written
    copies.look()
    copies.expect("m-v1")
    assert copies.to.read(published, file) == (place.adapters / "m-v1" / file).read_bytes()


def test_another_adapter_of_that_name_is_left_alone_and_the_canary_refused(
    place: Place, copies: Copies, registry: CollectorRegistry, tmp_path: Path
) -> None:
    other = Place(tmp_path / "other")
    theirs = other.publish("m-v1", parent="m-v0")
    copies.to.publish(other.adapters / "m-v1", theirs)
    place.publish("m-v1")
    place.publish("m-v2")
    copies.look()
    with pytest.raises(CannotLoad, match="is another m-v1, of 20"):
        copies.expect("m-v1")
    copies.expect("m-v2")
    assert copies.to.manifest("m-v1") == theirs
    assert registry.get_sample_value("thumbwheel_ops_to_copy") == 1


def test_a_lost_file_is_told_and_holds_up_no_other(
    place: Place, copies: Copies, caplog: pytest.LogCaptureFixture
) -> None:
    place.publish("m-v1")
    place.publish("m-v2")
    (place.adapters / "m-v2" / "adapter_model.safetensors").unlink()
    for _ in range(3):
        copies.look()
    copies.expect("m-v1")
    with pytest.raises(CannotLoad, match=r"adapter_model\.safetensors"):
        copies.expect("m-v2")
    assert [one.message for one in caplog.records if "m-v2 is not copied" in one.message][1:] == []


def test_while_the_store_is_away_it_is_counted_and_tried_again(
    place: Place, s3: RunningS3, monkeypatch: pytest.MonkeyPatch, registry: CollectorRegistry
) -> None:
    for name, value in s3.env.items():
        monkeypatch.setenv(name, value)
    quick = {"config_kwargs": {"connect_timeout": 1, "read_timeout": 1}}
    monkeypatch.setitem(fsspec.config.conf, "s3", quick)
    store = Store(f"{s3.url}/away")
    copies = Copies(place.adapters, store, lambda: True, Metrics(registry))
    place.publish("m-v1")
    place.publish("m-v2")
    withdraw(place.adapters, "m-v1", "it was rude", "ann")
    with s3.hanging(), pytest.raises(StoreAway):
        copies.look()
    assert registry.get_sample_value("thumbwheel_ops_to_copy") == 3
    copies.look()
    copies.expect("m-v2")
    assert registry.get_sample_value("thumbwheel_ops_to_copy") == 0
    finder = Finder(store, Cache(place.home / "cache", 4), 1000)
    with pytest.raises(WithdrawnAdapter, match="it was rude"):
        finder.find("m-v1", None)
    assert store.marked() == {mark_of("m-v1")}
