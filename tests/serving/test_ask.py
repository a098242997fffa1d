import json
from typing import Any

import pytest

from serving.apis import CHAT
from serving.ask import Ask, read_ask
from serving.errors import BadRequest

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
