"""The adapter that an answer's adapter continues is written down with it."""

from contextlib import ExitStack, closing
from pathlib import Path

import httpx

from feedback.log import open_log
from serving.parents import Parents
from tests.ops.made import Place
from tests.serving.conftest import Stage
from tests.serving.gateway import Gateway, gateway_app, settings_for, split, until
from tests.serving.scripted import ScriptedEngine
from tests.serving.servers import served
from tests.serving.stores import told_store


def test_a_parent_is_what_the_manifest_says(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.publish("m-v1")
    place.publish("m-v2", parent="m-v1")
    parents = Parents(place.adapters)
    assert [parents.of(name) for name in ("m-v1", "m-v2", "base", "m-v9")] == [
        "base",
        "m-v1",
        None,
        None,
    ]
    assert Parents(None).of("m-v1") is None


def test_one_that_is_published_later_is_known_then(tmp_path: Path) -> None:
    place = Place(tmp_path)
    parents = Parents(place.adapters)
    assert parents.of("m-v1") is None
    place.publish("m-v1")
    assert parents.of("m-v1") == "base"


def test_a_store_far_away_holds_no_answer_up(tmp_path: Path) -> None:
    Place(tmp_path).publish("m-v1")
    with told_store() as told:
        told.seconds = 0.2
        parents = Parents(f"told://{tmp_path}/adapters")
        assert parents.of("m-v1") is None
        until(lambda: parents.of("m-v1") == "base")
    assert told.asked == ["manifest.json"]  # once, however often it was asked in between


def test_a_store_that_is_away_is_not_asked_about_every_answer(tmp_path: Path) -> None:
    with told_store() as told:
        told.away = TimeoutError()
        parents = Parents(f"told://{tmp_path}/adapters")
        for _ in range(3):
            assert parents.of("m-v1") is None
            until(lambda: told.asked == ["manifest.json"])


def test_a_completion_carries_it(tmp_path: Path, stage: Stage, engine: ScriptedEngine) -> None:
    Place(tmp_path).publish("model-v1")
    settings = settings_for(tmp_path, stage.url, adapters=tmp_path / "adapters")
    with ExitStack() as opened:
        log = opened.enter_context(closing(open_log(settings.log)))
        url = opened.enter_context(served(gateway_app(settings, opened)))
        http = opened.enter_context(httpx.Client(base_url=url, timeout=10, verify=False))
        gateway = Gateway(url, engine, log, http)
        gateway.decide(split())
        gateway.ask()
        (completion,) = gateway.completions()
    assert (completion.adapter, completion.parent) == ("model-v1", "base")
