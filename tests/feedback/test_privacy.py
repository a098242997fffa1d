import re
from traceback import format_exception
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.privacy import BUILT_IN, CannotRedact, pseudonym, redacted

SECRETS = st.binary(min_size=8, max_size=64)
USERS = st.text(min_size=1)


def no_ann(text: str) -> str:
    return text.replace("ann", "[name]")


def raising(text: str) -> str:
    raise ValueError(f"what is {text}?")


def no_text(text: str) -> Any:
    return None


def half_a_pair(text: str) -> str:
    return "\ud800"


@given(SECRETS, USERS)
def test_a_user_has_one_pseudonym_that_does_not_tell_the_name(secret: bytes, user: str) -> None:
    found = pseudonym(secret, user)
    assert found == pseudonym(secret, user)
    assert re.fullmatch("[0-9a-f]{24}", found)
    assert user not in found or len(user) < 4  # by chance


@given(SECRETS, USERS, USERS)
def test_two_users_have_two_pseudonyms(secret: bytes, one: str, other: str) -> None:
    assert (pseudonym(secret, one) == pseudonym(secret, other)) == (one == other)


@given(SECRETS, SECRETS, USERS)
def test_with_another_secret_a_user_is_a_stranger(old: bytes, new: bytes, user: str) -> None:
    assert (pseudonym(old, user) == pseudonym(new, user)) == (old == new)


def test_every_string_is_redacted_wherever_it_is() -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "I am ann"}], "ann": ("ann",)}
    call = {"function": {"arguments": '{"to": "ann"}'}, "n": 1, "x": None, "y": True, "z": 0.5}
    assert redacted(no_ann, ({"messages": [message]}, call)) == (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "I am [name]"}],
                    "[name]": ("[name]",),
                }
            ]
        },
        {"function": {"arguments": '{"to": "[name]"}'}, "n": 1, "x": None, "y": True, "z": 0.5},
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=15,
)


@given(JSON)
def test_a_redactor_that_takes_nothing_changes_nothing(value: Any) -> None:
    assert redacted(str, value) == value


@pytest.mark.parametrize("redact", [raising, no_text, half_a_pair])
@pytest.mark.parametrize("value", ["qzx", ["qzx"], {"qzx": 1}, {"x": {"y": "qzx"}}])
def test_a_redactor_that_fails_lets_nothing_through_not_even_in_its_traceback(
    redact: Any, value: Any
) -> None:
    with pytest.raises(CannotRedact) as caught:
        redacted(redact, value)
    assert "qzx" not in "".join(format_exception(caught.value))


def test_it_is_told_what_failed_and_where() -> None:
    with pytest.raises(CannotRedact, match=r"^ValueError in .*test_privacy\.py, line \d+$"):
        redacted(raising, "ann")
    with pytest.raises(CannotRedact, match=r"^it gave back a NoneType; expected a str$"):
        redacted(no_text, "ann")


def test_the_built_in_one_has_a_name() -> None:
    assert redacted(BUILT_IN["common"], ["ann@example.com"]) == ["[email]"]
