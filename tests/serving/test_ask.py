import json
from typing import Any

import pytest

from feedback.privacy import pseudonym
from serving.apis import CHAT, TEXT, Api
from serving.ask import Ask, check_size, read_ask
from serving.errors import BadRequest, PromptTooLarge
from serving.split import choose
from tests.serving.gateway import SECRET, Gateway, split

MESSAGES = [{"role": "user", "content": "Hi"}]


def read(body: dict[str, Any], **headers: str) -> Ask:
    return read_ask(CHAT, json.dumps({"messages": MESSAGES} | body).encode(), headers, 0.0)


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"", "the body is not JSON: EOF"),
        (b'{"a":', "the body is not JSON: EOF"),
        (b"\xff", "the body is not JSON: "),
        (b'{"a": NaN}', "the body is not JSON: "),
        (b"[" * 100_000, "the body is not JSON: recursion limit"),
        (b"[]", "the body is a JSON list; expected an object"),
        (b"{}", "messages is None; expected a list of objects"),
        (b'{"messages": "hi"}', "messages is 'hi'; expected a list of objects"),
        (b'{"messages": ["hi"]}', "messages is ['hi']; expected a list of objects"),
        (b'{"messages": [], "stream": "yes"}', "stream is 'yes'; expected true or false"),
        (b'{"messages": [], "user": 7}', "user is 7; expected a string"),
    ],
)
def test_a_body_that_is_not_a_chat_is_refused_in_words(raw: bytes, complaint: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_ask(CHAT, raw, {}, 0.0)
    assert complaint in str(caught.value)
    assert caught.value.status == 400


def test_a_long_value_is_shortened_in_the_complaint() -> None:
    with pytest.raises(BadRequest, match=r"xxx\.\.\.; expected a list") as caught:
        read({"messages": "x" * 100_000})
    assert len(str(caught.value)) < 200


def test_the_user_of_the_body_goes_before_that_of_the_header() -> None:
    header = {"x-thumbwheel-user": "header"}
    assert read({"user": "body"}, **header).user == "body"
    assert read({}, **header).user == "header"
    assert read({"user": ""}, **header).user == "header"
    assert read({}).user is None


def test_a_conversation_has_a_name_of_bounded_length() -> None:
    assert read({}, **{"x-thumbwheel-conversation": "c1"}).conversation == "c1"
    with pytest.raises(BadRequest, match="has 201 characters; expected at most 200"):
        read({}, **{"x-thumbwheel-conversation": "c" * 201})


def test_parameters_are_what_is_neither_words_nor_names() -> None:
    ask = read({"model": "m", "user": "ann", "stream": True, "temperature": 0.1, "n": 2})
    assert CHAT.asked(ask.body, 0).parameters == {"temperature": 0.1, "n": 2}


def test_the_engine_is_asked_for_more_without_a_change_to_what_the_app_said() -> None:
    ask = read({"logprobs": False})
    assert ask.for_engine()["logprobs"] is True
    assert ask.for_engine()["return_token_ids"] is True
    assert ask.body["logprobs"] is False and "return_token_ids" not in ask.body


def test_a_user_stays_on_one_side_and_who_has_no_name_stays_with_the_conversation() -> None:
    conversation = {"x-thumbwheel-conversation": "c1"}
    assert read({"user": "ann"}, **conversation).person == "ann"
    assert read({}, **conversation).person == read({}, **conversation).person
    assert read({}, **conversation).person not in (None, "c1")  # no user is called so
    assert read({}).person is None


def test_all_that_is_said_in_one_conversation_is_said_by_one_adapter(gateway: Gateway) -> None:
    decided = split(2, canary="model-v2", share_percent=50)
    gateway.decide(decided)
    for number in list(range(8)) * 2:
        answer = gateway.ask(headers={"x-thumbwheel-conversation": f"c{number}"})
        person = pseudonym(SECRET.encode(), f"conversation c{number}")
        expected = choose(decided, person).adapter
        assert answer.headers["x-thumbwheel-adapter"] == expected
    assert {one.adapter for one in gateway.completions(16)} == {"model-v1", "model-v2"}


PARTS = [{"type": "text", "text": "12345"}, {"type": "text", "text": "678"}]
SIZES: list[tuple[Api, dict[str, Any], int]] = [
    (CHAT, {"messages": [{"role": "user", "content": "Hi"}]}, 6),
    (CHAT, {"messages": [{"role": "user", "content": PARTS}]}, 4 + 5 + 3 + 2 * 4),
    (CHAT, {"messages": []}, 0),
    (TEXT, {"prompt": "12345"}, 5),
    (TEXT, {"prompt": ["12", "345"]}, 5),
    (TEXT, {"prompt": [1001, 1002, 1003]}, 3),
    (TEXT, {"prompt": [[1001], [1002, 1003]]}, 3),
]


@pytest.mark.parametrize(("api", "body", "size"), SIZES)
def test_a_prompt_is_as_long_as_all_its_texts(api: Api, body: dict[str, Any], size: int) -> None:
    ask = read_ask(api, json.dumps(body | {"tools": "not of the prompt"}).encode(), {}, 0.0)
    check_size(ask, size)
    with pytest.raises(PromptTooLarge, match=f"has {size} characters; expected at most {size - 1}"):
        check_size(ask, size - 1)
