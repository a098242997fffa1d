"""Answers to a prompt, `/v1/completions`: served, remembered and rated as chats are."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from serving.apis import TEXT
from serving.ask import Ask, read_ask
from serving.errors import BadRequest
from tests.serving.gateway import Gateway
from tests.serving.scripted import IDS, LOGPROBS, PROMPT_IDS, WORDS

ANSWER = "".join(WORDS)
LOST = "thumbwheel_serving_completions_lost_total"


def ask(gateway: Gateway, prompt: object = "To boil an egg", **more: Any) -> httpx.Response:
    body = {"model": "model", "prompt": prompt} | more
    return gateway.http.post("/v1/completions", json=body)


def read(**body: Any) -> Ask:
    return read_ask(TEXT, json.dumps({"model": "model"} | body).encode(), {}, 0.0)


@pytest.mark.parametrize("prompt", [None, "", [], 7, {"text": "x"}])
def test_what_is_no_prompt_is_refused_in_words(prompt: object) -> None:
    with pytest.raises(BadRequest, match="expected a text, token ids, or a list of") as caught:
        read(prompt=prompt)
    assert caught.value.param == "prompt"


def test_an_answer_to_a_prompt_is_remembered_with_it(gateway: Gateway) -> None:
    response = ask(gateway, temperature=0.5, user="ann")
    said = response.json()
    assert response.headers["x-thumbwheel-adapter"] == said["model"] == "model-v1"
    assert response.headers["x-thumbwheel-feedback"] == said["feedback_token"]
    assert said["choices"][0]["text"] == ANSWER
    assert gateway.engine.asked[0]["logprobs"] == 0
    (kept,) = gateway.completions()
    assert (kept.id, kept.answer, kept.messages) == (said["id"], ANSWER, ())
    assert said["id"].startswith("cmpl-")
    assert kept.parameters == {"prompt": "To boil an egg", "temperature": 0.5}
    assert (kept.prompt_ids, kept.answer_ids, kept.logprobs) == (PROMPT_IDS, IDS, LOGPROBS)
    assert (kept.split_revision, kept.finish_reason) == (1, "stop")


def test_a_stream_is_remembered_as_the_same_answer_whole(gateway: Gateway) -> None:
    ask(gateway, user="ann")
    response = ask(gateway, user="ann", stream=True)
    *events, end = response.text.removesuffix("\n\n").split("\n\n")
    parts = [json.loads(event.removeprefix("data: ")) for event in events]
    assert end == "data: [DONE]"
    assert "".join(part["choices"][0]["text"] for part in parts) == ANSWER
    assert "feedback_token" in parts[0]
    one, other = gateway.completions(2)
    timing = {"id", "at", "total_seconds", "first_token_seconds"}
    assert one.model_dump(exclude=timing) == other.model_dump(exclude=timing)
    assert other.first_token_seconds is not None


PROMPTS: dict[str, tuple[object, int, list[object]]] = {
    "one text": ("a", 1, ["a"]),
    "token ids": ([1, 2, 3], 1, [[1, 2, 3]]),
    "texts": (["a", "b"], 1, ["a", "b"]),
    "lists of ids": ([[1, 2], [3]], 1, [[1, 2], [3]]),
    "texts with two answers each": (["a", "b"], 2, ["a", "a", "b", "b"]),
    "one text with two answers": ("a", 2, ["a", "a"]),
}


@pytest.mark.parametrize("streams", [False, True])
def test_each_answer_is_remembered_with_its_own_prompt(gateway: Gateway, streams: bool) -> None:
    for prompt, n, expected in PROMPTS.values():
        before = len(gateway.completions(0))
        ask(gateway, prompt, n=n, stream=streams)
        kept = gateway.completions(before + len(expected))[before:]
        assert [one.parameters["prompt"] for one in kept] == expected
        group = kept[0].id
        ids = [group, *(f"{group}.{index}" for index in range(1, len(expected)))]
        assert [one.id for one in kept] == ids
        assert all((one.prompt_ids, one.answer_ids) == (PROMPT_IDS, IDS) for one in kept)


@pytest.mark.parametrize("n", [2.0, "2"])
def test_answers_are_counted_as_the_engine_counts_them(gateway: Gateway, n: object) -> None:
    response = ask(gateway, ["a", "b"], n=n)
    if response.status_code == 200:
        kept = gateway.completions(4)
        assert [one.parameters["prompt"] for one in kept] == ["a", "a", "b", "b"]
    else:
        assert (response.status_code, response.json()["error"]["param"]) == (400, "n")


def test_an_app_sees_token_ids_and_logprobs_only_where_it_asks(gateway: Gateway) -> None:
    def seen(**more: Any) -> tuple[bool, bool, bool]:
        (choice,) = ask(gateway, **more).json()["choices"]
        return "token_ids" in choice, "prompt_token_ids" in choice, choice["logprobs"] is not None

    assert seen() == (False, False, False)
    assert seen(logprobs=0) == seen(logprobs=1) == (False, False, True)
    assert seen(return_token_ids=True) == (True, True, False)
    assert [asked["logprobs"] for asked in gateway.engine.asked] == [0, 0, 1, 0]
    assert all(len(one.answer_ids) == len(one.logprobs) == 3 for one in gateway.completions(4))


ECHOES: list[dict[str, Any]] = [{}, {"logprobs": 1}, {"return_token_ids": True}]


@pytest.mark.parametrize("more", ECHOES, ids=str)
def test_where_the_prompt_is_said_again_no_ids_are_remembered(
    gateway: Gateway, more: dict[str, Any]
) -> None:
    # The ids and log-probabilities would be the prompt's too.
    (choice,) = ask(gateway, echo=True, **more).json()["choices"]
    asked = {"model": "model-v1", "prompt": "To boil an egg", "echo": True}
    assert gateway.engine.asked == [asked | more]
    assert (choice["logprobs"] is not None) == ("logprobs" in more)
    assert bool(choice.get("token_ids")) == ("return_token_ids" in more)
    assert gateway.metric(LOST) == 0
    (kept,) = gateway.completions()
    assert (kept.answer, kept.answer_ids, kept.logprobs) == (ANSWER, (), ())


def test_token_ids_are_not_remembered_where_texts_are_redacted(
    started: Callable[..., Gateway],
) -> None:
    # They spell what nobody can redact.
    gateway = started(serving_redact="common")
    for prompt in ([1, 2, 3], [[1, 2], [3]]):
        assert ask(gateway, prompt).status_code == 200
    assert gateway.metric(LOST) == 3
    ask(gateway, "mail ann@example.com")
    (kept,) = gateway.completions()
    assert kept.parameters == {"prompt": "mail [email]"}
    assert kept.prompt_ids == ()
