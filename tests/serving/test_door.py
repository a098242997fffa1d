"""Who is let in, for what, and how often: at the door, and through the real gateway."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from serving.door import Door
from serving.errors import Forbidden, NotLetIn, TooMany
from serving.keys import Keys, Scope
from serving.limits import InFlight
from tests.serving.gateway import MESSAGES, Gateway, key_of, keys_for, until

CHAT = 'scopes = ["chat"]'
VERDICTS = 'scopes = ["verdicts"]'
ADMIN = 'scopes = ["admin"]'
IN_FLIGHT = "thumbwheel_serving_in_flight"


def door(folder: Path, clock: Callable[[], float] = lambda: 0.0, **apps: str) -> Door:
    return Door(Keys(keys_for(folder, **apps)), InFlight(9), clock=clock)


def test_without_keys_the_door_is_open() -> None:
    caller = Door(None, InFlight(1)).caller({}, "admin")
    assert caller.app is None and caller.may("admin")


@pytest.mark.parametrize(
    ("shown", "complaint"),
    [
        ({}, "no API key was shown; expected the header Authorization: Bearer KEY"),
        ({"authorization": ""}, "no API key was shown"),
        ({"authorization": "key-of-shop"}, "no API key was shown"),
        ({"authorization": "Basic key-of-shop"}, "no API key was shown"),
        ({"authorization": "Bearer "}, "no API key was shown"),
        (key_of("other"), "the API key is not known here"),
        ({"authorization": "Bearer key-of-shop key-of-shop"}, "the API key is not known here"),
    ],
)
def test_who_shows_no_key_that_is_known_is_not_let_in(
    tmp_path: Path, shown: dict[str, str], complaint: str
) -> None:
    with pytest.raises(NotLetIn, match=complaint) as caught:
        door(tmp_path, shop=CHAT).caller(shown, "chat")
    assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")
    assert "key-of" not in str(caught.value)  # errors are logged


@pytest.mark.parametrize("shown", ["Bearer key-of-shop", "bearer  key-of-shop "])
def test_who_shows_one_is_known_by_its_name(tmp_path: Path, shown: str) -> None:
    assert door(tmp_path, shop=CHAT).caller({"authorization": shown}, "chat").app == "shop"


@pytest.mark.parametrize(
    ("lines", "may"),
    [(CHAT, ["chat"]), (VERDICTS, ["verdicts"]), (ADMIN, ["chat", "verdicts", "admin"])],
)
def test_a_key_is_for_its_scopes(tmp_path: Path, lines: str, may: list[Scope]) -> None:
    mine = door(tmp_path, shop=lines)
    scopes: tuple[Scope, ...] = ("chat", "verdicts", "admin")
    for scope in scopes:
        if scope in may:
            mine.caller(key_of("shop"), scope)
            continue
        with pytest.raises(Forbidden, match=f"'shop' is for {may[0]}; expected one for {scope}"):
            mine.caller(key_of("shop"), scope)


def test_an_app_has_its_rate_for_all_it_asks_and_one_user_of_it_their_own(tmp_path: Path) -> None:
    now = 0.0
    lines = f"{ADMIN}\nrequests_per_minute = 3\nuser_requests_per_minute = 2"
    mine = door(tmp_path, lambda: now, shop=lines, blog=lines)
    callers = [mine.caller(key_of("shop"), scope) for scope in ("chat", "verdicts", "admin")]
    with pytest.raises(TooMany, match="app 'shop' asked 3 times in a minute"):
        mine.caller(key_of("shop"), "chat")
    blog = mine.caller(key_of("blog"), "chat")
    for caller in (callers[0], callers[1], blog, blog):
        mine.one_more(caller, "ann")
    mine.one_more(callers[0], "bob")
    mine.one_more(callers[0], None)
    with pytest.raises(TooMany, match="this user of 'shop' asked 2 times") as caught:
        mine.one_more(callers[0], "ann")
    assert "ann" not in str(caught.value)
    now = 20.0
    mine.caller(key_of("shop"), "chat")


def test_no_name_of_an_app_or_a_user_takes_from_the_rate_of_another(tmp_path: Path) -> None:
    lines = f"{CHAT}\nuser_requests_per_minute = 1"
    path = keys_for(tmp_path, one=lines, other=lines)
    path.write_text(path.read_text().replace("[one]", "[shop]").replace("[other]", '["shop a"]'))
    mine = Door(Keys(path), InFlight(9), clock=lambda: 0.0)
    mine.one_more(mine.caller(key_of("one"), "chat"), "a b")
    mine.one_more(mine.caller(key_of("other"), "chat"), "b")


@pytest.fixture
def guarded(started: Callable[..., Gateway], tmp_path: Path) -> Gateway:
    apps = {"shop": CHAT, "site": VERDICTS, "boss": ADMIN}
    slow = f"{CHAT}\nrequests_per_minute = 1"
    shy = f"{CHAT}\nuser_requests_per_minute = 1"
    return started(serving_keys=keys_for(tmp_path, **apps, slow=slow, shy=shy))


def said_of(response: httpx.Response) -> tuple[int, str | None]:
    return response.status_code, response.json().get("error", {}).get("code")


def test_each_path_takes_a_key_for_what_it_does(guarded: Gateway) -> None:
    verdict = {"completion_id": "chatcmpl-1", "thumb": "up"}
    better = {"completion_id": "chatcmpl-1", "winner": "a"}
    prompt = {"model": "model", "prompt": "To boil"}

    def tried(headers: dict[str, str]) -> list[tuple[int, str | None]]:
        post = guarded.http.post
        return [
            said_of(guarded.ask(headers=headers)),
            said_of(post("/v1/completions", json=prompt, headers=headers)),
            said_of(guarded.http.get("/v1/models", headers=headers)),
            said_of(post("/v1/feedback", json=verdict, headers=headers)),
            said_of(post("/v1/comparisons", json=better, headers=headers)),
        ]

    no = (403, "forbidden")
    assert tried({}) == tried(key_of("nobody")) == [(401, "invalid_api_key")] * 5
    assert tried(key_of("shop")) == [(200, None)] * 3 + [no] * 2
    assert tried(key_of("site")) == [no] * 3 + [(202, None)] * 2
    assert tried(key_of("boss")) == [(200, None)] * 3 + [(202, None)] * 2
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/thumbwheel.js"):
        assert guarded.http.get(path).status_code == 200


def test_to_name_an_adapter_takes_a_key_for_admin(guarded: Gateway) -> None:
    for model in ("model-v2", "base", "gpt-9"):
        assert said_of(guarded.ask(model, headers=key_of("shop"))) == (403, "forbidden")
    assert guarded.engine.asked == []
    assert guarded.ask("model-v2", headers=key_of("boss")).json()["model"] == "model-v2"


def test_a_completion_says_which_app_asked(guarded: Gateway) -> None:
    guarded.ask(headers=key_of("shop"))
    guarded.ask(headers=key_of("boss"), stream=True)
    assert [one.app for one in guarded.completions(2)] == ["shop", "boss"]


def test_who_asks_too_often_is_told_when_to_come_again(guarded: Gateway) -> None:
    assert guarded.ask(headers=key_of("slow")).status_code == 200
    app = guarded.ask(headers=key_of("slow"))
    assert guarded.ask(headers=key_of("shy"), user="ann").status_code == 200
    assert guarded.ask(headers=key_of("shy"), user="bob").status_code == 200
    user = guarded.ask(headers=key_of("shy"), user="ann")
    for response in (app, user):
        assert said_of(response) == (429, "rate_limit_exceeded")
        assert 50 <= int(response.headers["retry-after"]) <= 60
        assert response.json()["error"]["type"] == "rate_limit_error"
    assert len(guarded.engine.asked) == 3


@contextmanager
def one_streaming(gateway: Gateway) -> Iterator[httpx.Response]:
    body = {"model": "model", "messages": MESSAGES, "stream": True}
    with gateway.http.stream("POST", "/v1/chat/completions", json=body) as response:
        assert gateway.metric(IN_FLIGHT) == 1
        yield response


def test_one_more_than_may_is_turned_away_until_one_has_ended_or_hung_up(
    started: Callable[..., Gateway],
) -> None:
    gateway = started(serving_max_in_flight=1)
    gateway.engine.word_seconds = 0.1
    with one_streaming(gateway) as response:
        busy = gateway.ask()
        assert said_of(busy) == (429, "rate_limit_exceeded")
        assert busy.headers["retry-after"] == "1"
        response.read()
    assert gateway.metric(IN_FLIGHT) == 0
    gateway.engine.word_seconds = 0.3
    with one_streaming(gateway):
        assert gateway.ask().status_code == 429
    until(lambda: gateway.metric(IN_FLIGHT) == 0)
    assert gateway.engine.finished == 1  # it had more to say
    gateway.engine.word_seconds = 0.0
    assert gateway.ask().status_code == 200
