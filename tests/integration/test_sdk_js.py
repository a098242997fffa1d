"""OpenAI's JavaScript client works as it is: only its address is ours. sdk.mjs drives it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from feedback.events import Thumb
from feedback.log import open_log
from tests.serving.gateway import Gateway, gateway_app, keys_for, settings_for, until
from tests.serving.scripted import IDS, WORDS, ScriptedEngine
from tests.serving.servers import served

pytestmark = [pytest.mark.integration, pytest.mark.alone]
HERE = Path(__file__).parent
HELLO = "".join(WORDS)
NODE, FOLDER = Path(sys.prefix) / "bin/node", Path(sys.prefix) / "sdk"


@dataclass(frozen=True)
class Seen:
    """What the client told, and the gateways that it spoke to."""

    by_client: dict[str, Any]
    open: Gateway
    slow: Gateway

    def asked(self, name: str) -> Any:
        """What the engine was asked with this name in the body."""
        return next(body[name] for body in self.open.engine.asked if name in body)


def start(folder: Path, until_the_end: ExitStack, word_seconds: float = 0, **more: Any) -> Gateway:
    """`model-v1` is stable."""
    folder.mkdir(exist_ok=True)
    enter, engine = until_the_end.enter_context, ScriptedEngine(word_seconds=word_seconds)
    stable = {"serving_first_stable": "model-v1"}
    settings = settings_for(folder, enter(served(engine.app())), **stable, **more)
    log = enter(closing(open_log(settings.log)))
    url = enter(served(gateway_app(settings, until_the_end)))
    http = enter(httpx.Client(base_url=url, timeout=10))
    until(lambda: http.get("/readyz").is_success)
    return Gateway(url, engine, log, http)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    assert FOLDER.exists(), f"no {FOLDER}: run make .venv/sdk.installed"
    home = tmp_path_factory.mktemp("sdk")
    keys = keys_for(home, shop='scopes = ["chat"]')
    with ExitStack() as until_the_end:
        usual = start(home / "open", until_the_end)
        slow = start(home / "slow", until_the_end, word_seconds=0.2, serving_max_in_flight=1)
        locked = start(home / "keys", until_the_end, serving_keys=keys)
        urls = json.dumps({"open": usual.url, "slow": slow.url, "keys": locked.url})
        command: list[Path | str] = [NODE, HERE / "sdk.mjs", FOLDER, urls]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stderr
        yield Seen(json.loads(ran.stdout), usual, slow)


def test_an_answer_comes_whole(seen: Seen) -> None:
    whole = seen.by_client["whole"]
    assert (whole["model"], whole["usage"]["completion_tokens"]) == ("model-v1", len(IDS))
    (choice,) = whole["choices"]
    assert (choice["message"]["content"], choice["logprobs"]) == (HELLO, None)
    assert "token_ids" not in choice
    assert (seen.asked("stop"), seen.asked("seed")) == (["\n"], 7)
    assert whole["id"] in {one.id for one in seen.open.completions()}


def test_a_stream_comes_in_parts_and_tells_its_usage_where_it_is_asked_for(seen: Seen) -> None:
    for name in ("streamed", "usage"):
        parts = [choice for part in seen.by_client[name] for choice in part["choices"]]
        assert "".join(choice["delta"].get("content") or "" for choice in parts) == HELLO
    assert "usage" not in seen.by_client["streamed"][-1]
    assert seen.by_client["usage"][-1]["usage"]["total_tokens"] == 6


def test_several_answers_come_apart(seen: Seen) -> None:
    assert [one["message"]["content"] for one in seen.by_client["two"]["choices"]] == [HELLO] * 2
    assert seen.by_client["helped"] == [HELLO] * 2


def test_tools_and_forms_reach_the_engine(seen: Seen) -> None:
    assert seen.asked("tools")[0]["function"]["name"] == "look"
    assert seen.asked("tool_choice") == "auto"
    assert seen.asked("response_format")["json_schema"]["name"] == "none"
    for name in ("tools", "formed"):
        assert seen.by_client[name]["choices"][0]["message"]["content"] == HELLO


def test_logprobs_on_request(seen: Seen) -> None:
    (choice,) = seen.by_client["logprobs"]["choices"]
    assert [one["token"] for one in choice["logprobs"]["content"]] == list(WORDS)


def test_the_list_of_models_and_the_older_completions(seen: Seen) -> None:
    assert [one["id"] for one in seen.by_client["models"]] == ["model", "model-v1"]
    assert seen.by_client["text"]["choices"][0]["text"] == HELLO
    parts = seen.by_client["text_streamed"]
    assert "".join(part["choices"][0]["text"] for part in parts) == HELLO


@pytest.mark.parametrize(
    ("what", "name", "status", "code", "param"),
    [
        ("unknown", "NotFoundError", 404, "model_not_found", "model"),
        ("malformed", "BadRequestError", 400, None, "messages"),
        ("wrong_key", "AuthenticationError", 401, "invalid_api_key", None),
    ],
)
def test_errors_are_the_errors_of_openai(
    seen: Seen, what: str, name: str, status: int, code: str | None, param: str | None
) -> None:
    error = seen.by_client[what]
    found = (error["name"], error["status"], error["code"], error["param"], error["type"])
    assert found == (name, status, code, param, "invalid_request_error")


def test_a_key_opens(seen: Seen) -> None:
    assert seen.by_client["right_key"]["choices"][0]["message"]["content"] == HELLO


def test_an_answer_is_rated_by_its_token(seen: Seen) -> None:
    rated = seen.by_client["rated"]
    assert rated["headers"] == {
        "adapter": "model-v1",
        "completion": rated["id"],
        "feedback": rated["token"],
    }
    assert rated["status"] == 202
    (thumb,) = seen.open.verdicts()
    assert isinstance(thumb, Thumb)
    assert (thumb.completion_id, thumb.up) == (rated["id"], True)


def test_who_is_turned_away_comes_again_when_told_to(seen: Seen) -> None:
    busy = seen.by_client["busy"]
    first = busy["first"]
    assert (first["name"], first["status"], first["retryAfter"]) == ("RateLimitError", 429, "1")
    assert (first["code"], first["type"]) == ("rate_limit_exceeded", "rate_limit_error")
    assert (busy["statuses"][0], busy["statuses"][-1], busy["said"]) == (429, 200, HELLO)
    assert min(busy["pauses"]) >= 990  # milliseconds, by a clock that is rounded


def test_a_stream_that_is_aborted_is_left_and_remembered(seen: Seen) -> None:
    assert seen.by_client["aborted"] == ["", WORDS[0]]
    until(lambda: seen.slow.engine.left >= 1)
    until(
        lambda: (
            (WORDS[0], "client closed") in {(c.answer, c.error) for c in seen.slow.completions()}
        )
    )
    assert seen.by_client["given_up"]["name"] == "APIUserAbortError"
