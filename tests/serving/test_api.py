import socket
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.serving.gateway import MESSAGES, Gateway, gateway_app, settings_for, split
from tests.serving.scripted import WORDS
from tests.serving.servers import served


def test_it_is_alive_before_it_is_ready(undecided: Gateway) -> None:
    assert undecided.http.get("/healthz").status_code == 200
    waiting = undecided.http.get("/readyz")
    assert waiting.status_code == 503
    assert waiting.json()["error"]["code"] == "no_split"
    assert undecided.ask().status_code == 503
    undecided.decide(split())
    assert undecided.http.get("/readyz").json() == {"status": "ready", "split_revision": 1}
    assert undecided.ask().status_code == 200


def test_it_is_not_ready_without_its_engine(gateway: Gateway) -> None:
    gateway.engine.healthy = False
    waiting = gateway.http.get("/readyz")
    assert waiting.status_code == 503
    assert waiting.json()["error"]["message"] == "the engine's health is 503; expected 200"


def test_models_are_listed_before_there_is_a_split(undecided: Gateway) -> None:
    assert [m["id"] for m in undecided.http.get("/v1/models").json()["data"]] == ["model"]


@pytest.mark.parametrize("streams", [False, True])
def test_an_engine_that_is_away_is_a_503_for_chats_and_nothing_else(
    tmp_path: Path, streams: bool
) -> None:
    with socket.socket() as nobody, ExitStack() as until_the_end:
        nobody.bind(("127.0.0.1", 0))
        settings = settings_for(
            tmp_path,
            f"http://127.0.0.1:{nobody.getsockname()[1]}",
            serving_first_stable="model-v1",
        )
        url = until_the_end.enter_context(served(gateway_app(settings, until_the_end)))
        chat = {"model": "model-v1", "messages": MESSAGES, "stream": streams}
        response = httpx.post(f"{url}/v1/chat/completions", json=chat)
        assert response.status_code == 503
        assert response.json()["error"]["code"] == "engine_away"
        verdict = {"completion_id": "chatcmpl-1", "thumb": "up"}
        assert httpx.post(f"{url}/v1/feedback", json=verdict).status_code == 202


@pytest.mark.parametrize("streams", [False, True])
def test_the_engines_own_errors_pass_in_the_shape_of_openai(
    gateway: Gateway, streams: bool
) -> None:
    for status in (400, 404, 429, 500, 503):
        gateway.engine.refuses["model-v1"] = status
        response = gateway.ask(stream=streams)
        assert response.status_code == status
        assert response.json()["error"] == {
            "message": "LoRA adapter 'model-v1' could not be loaded.",
            "type": "SomeError",
            "param": "model",
            "code": status,
        }


def test_an_engine_that_says_nonsense_is_a_502(gateway: Gateway) -> None:
    gateway.engine.raw = b"oops"
    response = gateway.ask()
    assert response.status_code == 502
    assert response.json()["error"]["code"] == "bad_answer"
    gateway.engine.raw = b"data: [DONE]\n\n"
    response = gateway.ask(stream=True)
    assert response.status_code == 502
    assert response.json()["error"]["code"] == "bad_answer"


def test_a_fault_of_our_own_is_a_500_in_the_same_shape(gateway: Gateway) -> None:
    said = b'{"id": "x", "model": "model-v1", "choices": [{"index": 0, "token_ids": 7}]}'
    gateway.engine.raw = said
    response = gateway.ask()
    assert response.status_code == 500
    assert response.json()["error"]["message"] == "internal error"
    assert httpx.get(f"{gateway.url}/healthz").status_code == 200


def test_a_stream_that_ends_too_early_ends_with_an_error(gateway: Gateway) -> None:
    gateway.engine.vanishes_after = 2
    response = gateway.ask(stream=True)
    assert response.status_code == 200  # it was sent before
    assert '"code":"engine_away"' in response.text.split("\n\n")[-2]
    assert "[DONE]" not in response.text
    (completion,) = gateway.completions()
    assert completion.answer == "".join(WORDS[:2])
    assert completion.error == "the engine ended its answer in the middle"


@pytest.mark.parametrize("undecided", ["before"], indirect=True)
def test_paths_and_methods_that_there_are_not_are_refused_in_the_same_shape(
    gateway: Gateway,
) -> None:
    for response, status in (
        (gateway.http.get("/v1/nothing"), 404),
        (gateway.http.get("/v1/feedback"), 405),
    ):
        assert response.status_code == status
        assert response.json()["error"]["code"] == status


def test_a_body_that_is_too_large_is_not_read(tmp_path: Path, gateway: Gateway) -> None:
    with ExitStack() as until_the_end:
        settings = settings_for(tmp_path / "small", gateway.url, serving_max_body_bytes=100)
        url = until_the_end.enter_context(served(gateway_app(settings, until_the_end)))
        response = httpx.post(f"{url}/v1/feedback", content=b"x" * 101)
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "body_too_large"


def test_an_answer_that_cannot_be_written_down_still_reaches_its_user(gateway: Gateway) -> None:
    # JSON has numbers of any size; the log holds only those that there are.
    body = b'{"model": "model", "messages": [], "temperature": 1e999}'
    response = gateway.http.post("/v1/chat/completions", content=body)
    assert response.status_code == 200
    assert gateway.metric("thumbwheel_serving_completions_lost_total") == 1


def test_the_metrics_tell_of_all_that_happened(gateway: Gateway) -> None:
    gateway.ask()
    gateway.ask(stream=True)
    gateway.ask("nobody")
    assert gateway.metric("thumbwheel_serving_split_revision") == 1
    for line, expected in {
        'requests_total{adapter="model-v1",outcome="ok"}': 2,
        'requests_total{adapter="none",outcome="unknown_model"}': 1,
        'first_token_seconds_count{adapter="model-v1"}': 1,
        'total_seconds_count{adapter="model-v1",outcome="ok"}': 2,
        'overhead_seconds_count{adapter="model-v1",outcome="ok"}': 2,
        'tokens_total{adapter="model-v1",of="prompt"}': 6,
        'tokens_total{adapter="model-v1",of="answer"}': 6,
        "completions_lost_total": 0,
    }.items():
        assert gateway.metric(f"thumbwheel_serving_{line}") == expected
    page = gateway.http.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "thumbwheel_serving_spool_waiting_bytes" in page.text
