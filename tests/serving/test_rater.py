"""Who rates which answer: whoever has the token of it, and no one else without a key."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from feedback.events import Thumb, Verdict
from feedback.privacy import pseudonym
from serving.door import Door
from serving.errors import BadVerdict, Forbidden, NotLetIn, TooMany
from serving.form import Form
from serving.limits import InFlight
from serving.rater import PER_MINUTE, Rated, Raters
from serving.tokens import Grant, Tokens
from serving.wiring import token_keys
from tests.serving.gateway import SECRET, Gateway, key_of, keys_for, settings_for, until

TOKENS = Tokens({"0": b"a key for tests"})
ID = "chatcmpl-1"
GRANT = Grant(ID, "pseudonym", until=1000)
TOKEN = TOKENS.sign(GRANT)
ANN = pseudonym(b"secret", "ann")


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def raters(clock: Clock | None = None) -> Raters:
    clock = clock or Clock()
    return Raters(b"secret", TOKENS, Door(None, InFlight(1), clock=clock), clock)


@pytest.mark.parametrize(
    ("form", "headers", "expected"),
    [
        (Form(token=TOKEN), {}, Rated(ID, "pseudonym")),
        (Form(), {"x-thumbwheel-feedback": TOKEN}, Rated(ID, "pseudonym")),
        (Form(token=TOKEN, completion_id=ID), {}, Rated(ID, "pseudonym")),
        (Form(token=TOKEN, completion_id=f"{ID}.1"), {}, Rated(f"{ID}.1", "pseudonym")),
        (Form(token=TOKEN), {"x-thumbwheel-user": "ann"}, Rated(ID, "pseudonym")),
        (Form(token=TOKEN), {"x-thumbwheel-feedback": "other"}, Rated(ID, "pseudonym")),
        (Form(completion_id=ID), {}, Rated(ID, None)),
        (Form(completion_id=ID, user="ann"), {}, Rated(ID, ANN)),
        (Form(completion_id=ID), {"x-thumbwheel-user": "ann"}, Rated(ID, ANN)),
        (Form(completion_id=ID, user="ann"), {"x-thumbwheel-user": "bob"}, Rated(ID, ANN)),
    ],
)
def test_who_speaks_of_what(form: Form, headers: dict[str, str], expected: Rated) -> None:
    assert raters().rated(form, headers) == expected


def test_a_token_alone_says_who_it_is() -> None:
    with pytest.raises(BadVerdict, match="user is there; expected none beside a token") as caught:
        raters().rated(Form(token=TOKEN, user="ann"), {})
    assert caught.value.param == "user"


def test_a_token_is_for_no_other_answer() -> None:
    with pytest.raises(Forbidden) as caught:
        raters().rated(Form(token=TOKEN, completion_id="chatcmpl-2"), {})
    assert (caught.value.status, caught.value.code) == (403, "token_of_another")


def test_without_a_token_an_answer_must_be_named() -> None:
    with pytest.raises(BadVerdict, match="completion_id is missing; expected the id of") as caught:
        raters().rated(Form(), {})
    assert caught.value.param == "completion_id"


def test_a_token_is_no_longer_good_when_its_time_is_over() -> None:
    clock = Clock(1000)
    raters(clock).rated(Form(token=TOKEN), {})
    clock.now = 1001
    with pytest.raises(NotLetIn, match="expired"):
        raters(clock).rated(Form(token=TOKEN), {})


def test_one_user_may_send_so_many_verdicts_in_a_minute_with_all_their_tokens() -> None:
    mine = raters()
    other = TOKENS.sign(Grant("chatcmpl-2", "pseudonym", until=1000))
    for number in range(PER_MINUTE):
        mine.rated(Form(token=(TOKEN, other)[number % 2]), {})
    with pytest.raises(TooMany, match=f"the user of this feedback token asked {PER_MINUTE} times"):
        mine.rated(Form(token=other), {})
    mine.rated(Form(token=TOKENS.sign(Grant(ID, "somebody else", until=1000))), {})


@pytest.fixture
def guarded(started: Callable[..., Gateway], tmp_path: Path) -> Gateway:
    return started(serving_keys=keys_for(tmp_path, shop='scopes = ["chat"]'))


def ask(gateway: Gateway, **more: Any) -> tuple[str, str]:
    """The answer's id and its token."""
    said = gateway.ask(headers=key_of("shop"), **more).json()
    return said["id"], said["feedback_token"]


def rate(gateway: Gateway, **said: Any) -> httpx.Response:
    return gateway.http.post("/v1/feedback", json={"thumb": "up"} | said)


def verdicts(gateway: Gateway, count: int) -> list[Verdict]:
    until(lambda: len(gateway.verdicts()) == count)
    return [one for one in gateway.verdicts() if isinstance(one, Thumb)]


def test_the_token_comes_in_the_header_and_in_the_first_part(guarded: Gateway) -> None:
    whole = guarded.ask(headers=key_of("shop"))
    assert whole.headers["x-thumbwheel-feedback"] == whole.json()["feedback_token"]
    streamed, parts = guarded.stream(headers=key_of("shop"))
    assert streamed.headers["x-thumbwheel-feedback"] == parts[0]["feedback_token"]
    assert not any("feedback_token" in part for part in parts[1:])


def test_a_page_needs_nothing_but_the_token_to_rate(guarded: Gateway) -> None:
    first, token = ask(guarded, user="ann", n=2)
    assert rate(guarded, token=token).status_code == 202
    assert rate(guarded, token=token, completion_id=f"{first}.1").status_code == 202
    headers = {"x-thumbwheel-feedback": token}
    said = guarded.http.post("/v1/feedback", json={"thumb": "up"}, headers=headers)
    assert said.status_code == 202
    found = verdicts(guarded, 3)
    assert [one.completion_id for one in found] == [first, f"{first}.1", first]
    assert {one.user for one in found} == {pseudonym(SECRET.encode(), "ann")}
    assert {one.user for one in found} == {one.user for one in guarded.completions(2)}


def test_who_asked_without_a_name_rates_as_who_asked(guarded: Gateway) -> None:
    _, token = ask(guarded)
    rate(guarded, token=token)
    assert [one.user for one in guarded.completions()] == [verdicts(guarded, 1)[0].user]


def test_the_token_names_the_app_whose_key_was_shown(guarded: Gateway, tmp_path: Path) -> None:
    first, token = ask(guarded, user="ann")
    read = Tokens(token_keys(settings_for(tmp_path, "http://x"))).read(token, 0)
    assert (read.group, read.app) == (first, "shop")


def test_tokens_that_do_not_hold_are_told_apart(guarded: Gateway, tmp_path: Path) -> None:
    first, token = ask(guarded)
    key = token_keys(settings_for(tmp_path, "http://x"))
    foreign = Tokens({"other": b"a key of others"}).sign(GRANT)
    wrong = [
        ({"token": "x" + token[1:]}, 401, "token_forged"),
        ({"token": token[:-1]}, 401, "token_forged"),
        ({"token": Tokens(key).sign(Grant(first, "ann", 1))}, 401, "token_expired"),
        ({"token": foreign}, 401, "token_foreign"),
        ({"token": token, "completion_id": "chatcmpl-x"}, 403, "token_of_another"),
        ({"token": token, "user": "ann"}, 422, None),
        ({"completion_id": first}, 401, "invalid_api_key"),
    ]
    for said, status, code in wrong:
        response = rate(guarded, **said)
        assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert guarded.verdicts() == []
