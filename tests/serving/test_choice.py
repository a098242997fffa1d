"""Which adapter answers, and that all who name it agree."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from feedback.events import NOT_LOADED, encode
from feedback.privacy import pseudonym
from serving.split import SPLIT_KEY, choose
from tests.serving.gateway import SECRET, Gateway, split

REQUESTS = "thumbwheel_serving_requests_total"


def test_a_user_keeps_one_adapter_and_is_known_by_a_pseudonym_only(gateway: Gateway) -> None:
    decided = split(2, canary="model-v2", share_percent=50)
    gateway.decide(decided)
    users = [f"user{number}" for number in range(12)]
    for user in users * 2:
        answer = gateway.ask(headers={"x-thumbwheel-user": user, "x-thumbwheel-conversation": "c"})
        expected = choose(decided, pseudonym(SECRET.encode(), user)).adapter
        assert answer.headers["x-thumbwheel-adapter"] == expected
    found = gateway.completions(24)
    assert {c.adapter for c in found} == {"model-v1", "model-v2"}
    assert {c.user for c in found} == {pseudonym(SECRET.encode(), user) for user in users}
    assert {c.conversation for c in found} == {"c"}


def test_who_does_not_say_who_they_are_is_somebody_else_each_time(gateway: Gateway) -> None:
    gateway.ask()
    gateway.ask()
    one, other = gateway.completions(2)
    assert one.user != other.user


def test_an_adapter_asked_for_by_name_is_no_evidence(gateway: Gateway) -> None:
    for model, engine_model in (("base", "model"), ("model-v2", "model-v2")):
        response = gateway.ask(model)
        assert response.headers["x-thumbwheel-adapter"] == model
        assert response.json()["model"] == engine_model
    found = gateway.completions(2)
    assert [(c.adapter, c.split_revision) for c in found] == [("base", None), ("model-v2", None)]


def test_base_can_be_stable(gateway: Gateway) -> None:
    gateway.decide(split(2, stable="base"))
    assert gateway.ask().headers["x-thumbwheel-adapter"] == "base"
    assert gateway.completions()[0].split_revision == 2


def test_a_model_that_there_is_not_is_refused_by_name(gateway: Gateway) -> None:
    models: list[Any] = ["gpt-4", "model-v", "other-v1", "model-v1x", "model-v\u0661", None, 7]
    for model in models:
        response = gateway.ask(model)
        assert response.status_code == 404
        error = response.json()["error"]
        assert (error["code"], error["param"]) == ("model_not_found", "model")
        assert f"model is {model!r}; expected 'model', 'base' or an adapter" in error["message"]


@pytest.mark.integration
def test_header_log_and_engine_name_the_same_adapter_while_the_split_moves(
    gateway: Gateway,
) -> None:
    def one(number: int) -> tuple[str, str, str]:
        ask = gateway.stream if number % 2 else lambda **more: (gateway.ask(**more), [])
        response, parts = ask(user=f"user{number}")
        said = (parts or [response.json()])[0]
        return said["id"], response.headers["x-thumbwheel-adapter"], said["model"]

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(one, number) for number in range(150)]
        for revision in range(2, 102):
            stable, canary = ("model-v1", "model-v2") if revision % 2 else ("model-v2", "base")
            moved = split(revision, stable, canary=canary, share_percent=50)
            gateway.log.append("split", SPLIT_KEY, encode(moved))
            time.sleep(0.005)
        seen = [done.result() for done in asked]
    logged = {c.id: c for c in gateway.completions(150)}
    for completion_id, header, engine_name in seen:
        answered = "base" if engine_name == "model" else engine_name
        assert logged[completion_id].adapter == header == answered
    assert len({c.split_revision for c in logged.values()}) > 1
    assert len({c.adapter for c in logged.values()}) == 3


def test_an_answer_of_another_adapter_is_refused_and_never_logged(gateway: Gateway) -> None:
    gateway.engine.says_it_is = "model-v2"
    for streams in (False, True):
        response = gateway.ask(stream=streams)
        assert response.status_code == 502
        error = response.json()["error"]
        assert error["message"] == "the engine answered with 'model-v2'; expected 'model-v1'"
        assert error["code"] == "wrong_adapter"
    assert gateway.metric(f'{REQUESTS}{{adapter="model-v1",outcome="wrong_adapter"}}') == 2
    gateway.engine.says_it_is = None
    gateway.ask()
    *failed, answered = gateway.completions(3)
    assert answered.answer
    assert [(one.adapter, one.answer) for one in failed] == [("model-v1", "")] * 2


def test_users_of_a_canary_that_cannot_be_loaded_get_stable(gateway: Gateway) -> None:
    gateway.decide(split(2, canary="model-v2", share_percent=100))
    for status in (400, 404, 422):
        gateway.engine.refuses["model-v2"] = status
        for streams in (False, True):
            response = gateway.ask(stream=streams)
            assert response.status_code == 200
            assert response.headers["x-thumbwheel-adapter"] == "model-v1"
    found = gateway.completions(12)
    assert Counter((c.adapter, c.split_revision, c.error is None) for c in found) == {
        ("model-v1", None, True): 6,  # no evidence: nobody drew them
        ("model-v2", 2, False): 6,
    }
    assert len({c.id for c in found}) == 12
    assert all(c.error is None or c.error.startswith(NOT_LOADED) for c in found)
    assert gateway.metric('thumbwheel_serving_canary_fallbacks_total{canary="model-v2"}') == 6


def test_a_request_that_stable_refuses_too_is_the_fault_of_no_canary(gateway: Gateway) -> None:
    gateway.engine.refuses |= {"model-v1": 400, "model-v2": 400}
    gateway.decide(split(2, canary="model-v2", share_percent=100))
    response = gateway.ask()
    assert response.status_code == 400
    gateway.engine.refuses.clear()
    gateway.ask()
    assert [c.error for c in gateway.completions(1)] == [None]
    assert "model-v1" in response.json()["error"]["message"]
    assert gateway.metric('thumbwheel_serving_canary_fallbacks_total{canary="model-v2"}') == 0


def test_a_canary_that_fails_otherwise_shows_it(gateway: Gateway) -> None:
    gateway.engine.refuses["model-v2"] = 500
    gateway.decide(split(2, canary="model-v2", share_percent=100))
    assert gateway.ask().status_code == 500
    assert gateway.metric(f'{REQUESTS}{{adapter="model-v2",outcome="engine_error"}}') == 1
