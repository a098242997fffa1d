from pathlib import Path

from tests.trainer.test_adapters import make, manifest
from trainer.adapters import claim_name, publish
from trainer.newest import Newest


def test_the_newest_is_seen_as_soon_as_it_is_published(tmp_path: Path) -> None:
    newest = Newest(tmp_path, "model")
    assert newest.manifest() is None
    assert make(tmp_path) == newest.manifest()
    assert make(tmp_path) == newest.manifest()


def test_a_series_whose_name_begins_alike_is_another(tmp_path: Path) -> None:
    for name in ("model-v1", "model-very-v7", "model-v2-v9"):
        publish(claim_name(tmp_path, name), manifest(name))
    found = Newest(tmp_path, "model").manifest()
    assert found is not None and found.name == "model-v1"
