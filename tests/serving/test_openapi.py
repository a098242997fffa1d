"""The document tells of every path, and what it shows can be sent."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from serving.apis import CHAT, TEXT
from serving.ask import read_ask
from serving.errors import TooMany, body_of
from serving.form import read_comparison, read_form
from serving.openapi import document
from serving.paths import Paths
from tests.serving.gateway import Gateway, gateway_app, settings_for

DOCUMENT = document("model")
UNTOLD = {"/metrics", "/openapi.json"}


def within(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in it, itself included."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from within(inner)


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def examples(path: str) -> list[Any]:
    (body,) = DOCUMENT["paths"][path]["post"]["requestBody"]["content"].values()
    return [one["value"] for one in body["examples"].values()]


def test_every_path_is_in_it_with_its_methods(tmp_path: Path) -> None:
    with ExitStack() as until_the_end:
        app = gateway_app(settings_for(tmp_path, "http://x"), until_the_end)
    assert isinstance(app, Paths)
    found = {(path, one.method) for path, one in app.handlers.items() if path not in UNTOLD}
    assert {(path, method.upper()) for path, method, _ in operations()} == found


def test_every_reference_leads_somewhere() -> None:
    references = [one["$ref"] for one in within(DOCUMENT) if "$ref" in one]
    assert len(references) > 10
    for reference in references:
        place: Any = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]
        assert isinstance(place, dict)


def test_it_has_what_the_format_asks_for() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert {"title", "version"} <= DOCUMENT["info"].keys()
    assert [name for one in DOCUMENT["security"] for name in one] == ["key"]
    assert "key" in DOCUMENT["components"]["securitySchemes"]
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT
    for _, method, operation in operations():
        assert operation["summary"] and operation["responses"]
        assert all(one["description"] for one in operation["responses"].values())
        assert all(status.isdigit() for status in operation["responses"])
        assert (method == "post") == ("requestBody" in operation)
        for parameter in operation.get("parameters", ()):
            assert parameter["in"] == "header" and parameter["name"] and parameter["schema"]


@pytest.mark.parametrize("said", examples("/v1/feedback"), ids=str)
def test_each_verdict_that_it_shows_is_one(said: dict[str, Any]) -> None:
    assert read_form(said).model_dump(exclude_unset=True) == said


@pytest.mark.parametrize("said", examples("/v1/comparisons"), ids=str)
def test_each_comparison_that_it_shows_is_one(said: dict[str, Any]) -> None:
    assert read_comparison(said).model_dump(exclude_unset=True) == said


@pytest.mark.parametrize("api", [CHAT, TEXT], ids=["chat", "text"])
def test_each_request_that_it_shows_can_be_asked(api: Any) -> None:
    whole, streamed = [
        read_ask(api, json.dumps(said).encode(), {}, 0.0) for said in examples(api.path)
    ]
    assert (whole.streams, streamed.streams) == (False, True)
    assert whole.model == "model" and whole.user


def test_an_error_has_the_fields_that_it_tells() -> None:
    told = DOCUMENT["components"]["schemas"]["Error"]["properties"]["error"]
    said = body_of(TooMany("too often", 1))["error"]
    assert said.keys() == told["properties"].keys() == set(told["required"])


def test_it_is_served_and_names_the_model_that_is_there(gateway: Gateway) -> None:
    page = gateway.http.get("/openapi.json")
    assert page.headers["content-type"] == "application/json"
    assert page.json() == DOCUMENT
    assert document("other") != DOCUMENT
