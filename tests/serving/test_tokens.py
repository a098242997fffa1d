"""Which feedback tokens hold, and what is said of those that do not."""

import json
from base64 import urlsafe_b64encode
from string import ascii_letters, digits
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.errors import Forbidden, NotLetIn
from serving.tokens import Grant, Tokens, check_group

NEW, OLD = {"new": b"n" * 32}, {"old": b"o" * 32}
TOKENS = Tokens(NEW)
GRANT = Grant("chatcmpl-1", "a pseudonym", until=10_000, app="shop")
LETTERS = ascii_letters + digits + "-_.=+ é"


def refused(tokens: Tokens, token: str, now: float = 0.0) -> str | int | None:
    with pytest.raises(NotLetIn) as caught:
        tokens.read(token, now)
    assert caught.value.status == 401
    return caught.value.code


@settings(max_examples=40)
@given(st.text(), st.text(), st.integers(0, 2**40), st.none() | st.text(min_size=1))
def test_what_was_signed_is_read_again(group: str, user: str, until: int, app: str | None) -> None:
    grant = Grant(group, user, until, app)
    assert TOKENS.read(TOKENS.sign(grant), until) == grant


def test_a_token_is_fit_for_a_header_and_for_an_address() -> None:
    said, signature = TOKENS.sign(GRANT).split(".")
    assert set(said + signature) <= set(ascii_letters + digits + "-_")


def test_a_token_with_any_letter_changed_is_refused() -> None:
    token = TOKENS.sign(GRANT)
    for place in range(len(token)):
        for letter in LETTERS.replace(token[place], ""):
            changed = token[:place] + letter + token[place + 1 :]
            assert refused(TOKENS, changed) in ("token_forged", "token_foreign")
        assert refused(TOKENS, token[:place]) == "token_forged"
        assert refused(TOKENS, token[:place] + token[place + 1 :]) in (
            "token_forged",
            "token_foreign",
        )


def test_no_signature_serves_for_other_words() -> None:
    said, _ = TOKENS.sign(Grant("chatcmpl-2", "a pseudonym", 10_000)).split(".")
    _, signature = TOKENS.sign(GRANT).split(".")
    assert refused(TOKENS, f"{said}.{signature}") == "token_forged"
    assert refused(Tokens({"new": b"another key"}), TOKENS.sign(GRANT)) == "token_forged"


def test_a_token_holds_until_its_time_and_no_longer() -> None:
    token = TOKENS.sign(GRANT)
    assert TOKENS.read(token, 10_000) == GRANT
    assert refused(TOKENS, token, 10_000.1) == "token_expired"
    with pytest.raises(NotLetIn, match=r"expired 2\.0 hours ago"):
        TOKENS.read(token, 10_000 + 7200)


def test_an_unknown_key_is_named_with_those_that_are_known() -> None:
    both = Tokens(NEW | OLD)
    with pytest.raises(NotLetIn, match="with the key 'third'; expected 'new' or 'old'") as caught:
        both.read(Tokens({"third": b"t" * 32}).sign(GRANT), 0)
    assert caught.value.code == "token_foreign"


def test_keys_rotate() -> None:
    before, both, after = Tokens(OLD), Tokens(NEW | OLD), Tokens(NEW)
    assert both.read(before.sign(GRANT), 0) == GRANT
    assert after.read(both.sign(GRANT), 0) == GRANT
    assert refused(before, both.sign(GRANT)) == "token_foreign"
    assert refused(after, before.sign(GRANT)) == "token_foreign"


def test_a_token_is_for_the_answers_to_one_request() -> None:
    check_group(GRANT, "chatcmpl-1")
    with pytest.raises(Forbidden, match="for 'chatcmpl-1'; expected one for 'chatcmpl-2'") as no:
        check_group(GRANT, "chatcmpl-2")
    assert (no.value.status, no.value.code) == (403, "token_of_another")


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("kgueax"), inner),
    max_leaves=8,
)


@settings(max_examples=40)
@given(st.text() | st.text(alphabet=LETTERS))
def test_any_text_is_refused_and_nothing_breaks(text: str) -> None:
    refused(TOKENS, text)


@settings(max_examples=40)
@given(json_values, st.sampled_from(["k", "x"]), st.binary(max_size=20))
def test_any_words_are_refused_and_nothing_breaks(
    words: Any, missing: str, signature: bytes
) -> None:
    shaped = {"k": "new", "g": "chatcmpl-1", "u": "me", "e": 10_000}
    shaped.pop(missing, None)
    for said in (words, words | shaped if isinstance(words, dict) else shaped):
        refused(TOKENS, f"{_text(json.dumps(said).encode())}.{_text(signature)}")
    refused(TOKENS, f"{_text(signature)}.{_text(signature)}")
