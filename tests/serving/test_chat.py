import re
import time
from typing import Any

import httpx
import pytest

from feedback.events import group_of
from serving.chat import new_request_id
from serving.tokens import Grant, Tokens
from tests.serving.gateway import MESSAGES, Gateway, until
from tests.serving.scripted import IDS, LOGPROBS, PROMPT_IDS, WORDS

REQUESTS = "thumbwheel_serving_requests_total"


def test_an_answer_comes_with_the_name_of_its_adapter_and_is_remembered(gateway: Gateway) -> None:
    response = gateway.ask(user="ann", temperature=0.5)
    body = response.json()
    assert response.status_code == 200
    assert response.headers["x-thumbwheel-adapter"] == body["model"] == "model-v1"
    assert response.headers["x-thumbwheel-completion"] == body["id"]
    (completion,) = gateway.completions()
    assert (completion.id, completion.adapter, completion.split_revision) == (
        body["id"],
        "model-v1",
        1,
    )
    assert completion.messages == tuple(MESSAGES)
    assert completion.answer == "".join(WORDS) == body["choices"][0]["message"]["content"]
    assert completion.prompt_ids == PROMPT_IDS
    assert (completion.answer_ids, completion.logprobs) == (IDS, LOGPROBS)
    assert completion.parameters == {"temperature": 0.5}
    assert (completion.finish_reason, completion.error) == ("stop", None)


def test_that_nothing_may_be_learned_from_it_is_remembered(gateway: Gateway) -> None:
    gateway.ask(store=False)
    (completion,) = gateway.completions()
    assert completion.parameters["store"] is False


def test_a_stream_is_remembered_as_the_same_answer_whole(gateway: Gateway) -> None:
    whole = gateway.ask(user="ann")
    streamed, parts = gateway.stream(user="ann")
    assert streamed.headers["x-thumbwheel-adapter"] == "model-v1"
    assert streamed.headers["x-thumbwheel-completion"] == parts[0]["id"]
    assert "".join(part["choices"][0]["delta"]["content"] for part in parts) == "".join(WORDS)
    one, other = gateway.completions(2)
    assert one.id == whole.json()["id"] and other.id == parts[0]["id"]
    timing = {"id", "at", "total_seconds", "first_token_seconds"}
    assert one.model_dump(exclude=timing) == other.model_dump(exclude=timing)
    assert one.first_token_seconds is None
    assert other.first_token_seconds is not None
    assert 0 < other.first_token_seconds <= other.total_seconds


@pytest.mark.parametrize("streams", [False, True])
def test_an_app_sees_token_ids_and_logprobs_only_where_it_asks(
    gateway: Gateway, streams: bool
) -> None:
    def last(**more: Any) -> dict[str, Any]:
        found = gateway.stream(**more)[1] if streams else [gateway.ask(**more).json()]
        assert ("prompt_token_ids" in found[0]) == ("return_token_ids" in more)
        choice: dict[str, Any] = found[-1]["choices"][0]
        return choice

    plain, both = last(), last(logprobs=True, return_token_ids=True)
    assert plain["logprobs"] is None and "token_ids" not in plain
    assert both["logprobs"] is not None and both["token_ids"]
    assert last(logprobs=True)["logprobs"] and "token_ids" not in last(logprobs=True)
    assert last(return_token_ids=True)["logprobs"] is None


def test_fields_that_the_gateway_does_not_know_reach_the_engine(gateway: Gateway) -> None:
    gateway.ask(user="ann", min_p=0.1, chat_template_kwargs={"enable_thinking": False})
    asked = gateway.engine.asked[-1]
    assert asked["min_p"] == 0.1
    assert asked["chat_template_kwargs"] == {"enable_thinking": False}
    assert asked["messages"] == MESSAGES


def test_each_choice_is_a_completion_of_the_same_group(gateway: Gateway) -> None:
    first = gateway.ask(n=3).json()["id"]
    _, parts = gateway.stream(n=2)
    second = parts[0]["id"]
    found = gateway.completions(5)
    assert [c.id for c in found] == [first, f"{first}.1", f"{first}.2", second, f"{second}.1"]
    assert {group_of(c.id) for c in found} == {first, second}
    assert all(c.answer_ids == IDS and c.prompt_ids == PROMPT_IDS for c in found)


def test_what_was_said_before_the_reader_hung_up_is_remembered(gateway: Gateway) -> None:
    gateway.engine.word_seconds = 0.2
    body = {"model": "model", "messages": MESSAGES, "stream": True}
    with gateway.http.stream("POST", "/v1/chat/completions", json=body) as response:
        for line in response.iter_lines():
            if WORDS[0] in line:
                break
    (completion,) = gateway.completions()
    assert completion.answer == WORDS[0]
    assert completion.answer_ids == IDS[:1]
    assert (completion.finish_reason, completion.error) == (None, "client closed")
    until(lambda: gateway.engine.left == 1)
    assert gateway.engine.finished == 0
    assert gateway.metric(f'{REQUESTS}{{adapter="model-v1",outcome="client_closed"}}') == 1


@pytest.mark.parametrize("streams", [False, True])
def test_a_reader_who_has_no_patience_is_counted(gateway: Gateway, streams: bool) -> None:
    gateway.engine.word_seconds = 0.5
    body = {"model": "model", "messages": MESSAGES, "stream": streams}
    with pytest.raises(httpx.ReadTimeout):
        gateway.http.post("/v1/chat/completions", json=body, timeout=0.2)
    closed = f'{REQUESTS}{{adapter="model-v1",outcome="client_closed"}}'
    until(lambda: gateway.metric(closed) == 1)


def test_whoever_has_the_end_of_an_answer_finds_it_remembered(gateway: Gateway) -> None:
    for number in range(1, 20):
        response = gateway.ask(stream=number % 2 == 0)
        assert response.status_code == 200
        page = gateway.metric(f'{REQUESTS}{{adapter="model-v1",outcome="ok"}}')
        assert page == number  # counted where it is remembered


def test_an_engine_that_fails_before_its_first_word_is_remembered_as_a_failure(
    gateway: Gateway,
) -> None:
    gateway.engine.refuses = {"model-v1": 500}
    assert gateway.ask().status_code == 500
    (failed,) = gateway.completions()
    assert (failed.adapter, failed.split_revision, failed.answer) == ("model-v1", 1, "")
    assert "could not be loaded" in str(failed.error)


def test_a_request_that_the_engine_refuses_is_no_failure_of_the_adapter(gateway: Gateway) -> None:
    gateway.engine.refuses = {"model-v1": 400}
    assert gateway.ask().status_code == 400
    gateway.engine.refuses = {}
    gateway.ask()
    (served,) = gateway.completions()
    assert served.error is None


def test_an_id_made_later_sorts_later_to_the_millisecond() -> None:
    ids = []
    for _ in range(20):
        ids.append(new_request_id())
        time.sleep(0.002)
    assert ids == sorted(ids)
    now = time.time() * 1000
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)
    assert all(now - 60_000 < int(one[:12], 16) <= now for one in ids)


def test_no_id_is_made_twice() -> None:
    assert len({new_request_id() for _ in range(100_000)}) == 100_000


def test_a_completion_has_such_an_id(gateway: Gateway) -> None:
    before, said = new_request_id(), gateway.ask().json()["id"].removeprefix("chatcmpl-")
    assert 0 <= int(said[:12], 16) - int(before[:12], 16) < 60_000


def test_the_token_is_signed_while_the_engine_works(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed, real = list[float](), Tokens.sign

    def sign(tokens: Tokens, grant: Grant) -> str:
        signed.append(time.monotonic())
        return real(tokens, grant)

    monkeypatch.setattr(Tokens, "sign", sign)
    gateway.engine.word_seconds = 0.1
    began = time.monotonic()
    assert gateway.ask(user="ann").status_code == 200
    took = time.monotonic() - began
    assert len(signed) == 1
    assert signed[0] - began < took / 2
