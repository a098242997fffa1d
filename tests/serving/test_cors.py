"""Which pages of the web may send verdicts, and the script that does it for them."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

import serving.api
from tests.serving.gateway import Gateway

APP, OTHER = "https://app.example.com", "https://other.example.com"


@pytest.fixture
def gateway(started: Callable[..., Gateway]) -> Gateway:
    return started(serving_origins=(APP, "http://localhost:3000"))


def preflight(gateway: Gateway, origin: str, **more: str) -> httpx.Response:
    asked = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,idempotency-key,x-thumbwheel-feedback",
    }
    return gateway.http.options("/v1/feedback", headers=asked | more)


def test_a_page_of_the_list_may_ask(gateway: Gateway) -> None:
    for origin in (APP, "http://localhost:3000"):
        response = preflight(gateway, origin)
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == origin
        assert "POST" in response.headers["access-control-allow-methods"]
        headers = {"access-control-request-headers": "x-thumbwheel-compare,authorization"}
        assert preflight(gateway, origin, **headers).status_code == 200


def test_another_page_may_not(gateway: Gateway) -> None:
    for origin in (OTHER, "http://app.example.com", f"{APP}.evil.com", "null"):
        response = preflight(gateway, origin)
        assert response.status_code == 400
        assert "access-control-allow-origin" not in response.headers
        said = gateway.http.post("/v1/feedback", json={}, headers={"origin": origin})
        assert said.status_code == 422
        assert "access-control-allow-origin" not in said.headers


def test_no_page_may_send_what_is_not_ours(gateway: Gateway) -> None:
    assert preflight(gateway, APP, **{"access-control-request-method": "DELETE"}).is_error
    assert preflight(gateway, APP, **{"access-control-request-headers": "x-other"}).is_error


def test_a_page_may_read_answers_streams_and_errors_with_their_headers(gateway: Gateway) -> None:
    origin = {"origin": APP}
    verdict = {"completion_id": "chatcmpl-1", "thumb": "up"}
    gateway.engine.refuses["model-v2"] = 503
    responses = {
        200: gateway.ask(headers=origin, stream=True),
        202: gateway.http.post("/v1/feedback", json=verdict, headers=origin),
        400: gateway.http.post("/v1/feedback", content=b"x", headers=origin),
        404: gateway.http.get("/v1/nothing", headers=origin),
        422: gateway.http.post("/v1/feedback", json={}, headers=origin),
        503: gateway.ask("model-v2", headers=origin),
    }
    for status, response in responses.items():
        assert response.status_code == status
        assert response.headers["access-control-allow-origin"] == APP
        exposed = response.headers["access-control-expose-headers"]
        assert {"retry-after", "x-thumbwheel-feedback"} <= set(exposed.split(", "))


def test_without_a_list_no_page_may(started: Callable[..., Gateway]) -> None:
    closed = started()
    assert preflight(closed, APP).status_code == 405
    answer = closed.ask(headers={"origin": APP})
    assert not any(name.startswith("access-control") for name in answer.headers)


def test_the_script_is_served_as_it_lies_beside_the_code(gateway: Gateway) -> None:
    page = gateway.http.get("/thumbwheel.js")
    assert page.headers["content-type"].startswith("text/javascript")
    assert page.headers["cache-control"] == "max-age=3600"
    assert page.text == Path(serving.api.__file__).with_name("thumbwheel.js").read_text()
