"""The gateway before a real vLLM and inside one: what an app gets is what vLLM alone would say."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import openai
import pytest

from feedback.events import Completion, decode, encode
from feedback.log import Log, open_log, read_all
from serving.split import SPLIT_KEY, Split
from tests.integration.engine import RunningEngine, running_engine
from tests.integration.tiny import make_adapter
from tests.serving.gateway import SECRET, gateway_app, settings_for, split, until
from tests.serving.servers import served

pytestmark = [pytest.mark.integration, pytest.mark.alone]
PATIENCE = 120.0


@dataclass(frozen=True)
class Place:
    url: str
    alone: str  # vLLM without us
    engine: str  # the one that answers
    log: Log

    def post(self, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", json=body, headers=headers, timeout=PATIENCE)

    def decide(self, decided: Split) -> None:
        self.log.append("split", SPLIT_KEY, encode(decided))
        ready = f"{self.url}/readyz"
        until(lambda: httpx.get(ready).json().get("split_revision") >= decided.revision)

    def engine_metric(self, name: str) -> float:
        """Of all models together."""
        page = httpx.get(f"{self.engine}/metrics").text.splitlines()
        return sum(float(x.rpartition(" ")[2]) for x in page if x.startswith(name + "{"))

    def remembered(self, id: str, count: int = 1) -> list[Completion]:
        """All choices of one answer, once so many are there."""

        def found() -> list[Completion]:
            said = [decode(r.value, (Completion,)) for r in read_all(self.log, "completions")]
            return [one for one in said if one.id.split(".")[0] == id]

        until(lambda: len(found()) >= count)
        return found()


@pytest.fixture(scope="module", params=["before", "inside"])
def place(
    request: pytest.FixtureRequest,
    vllm: RunningEngine,
    adapter: str,
    tiny_model: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp(request.param)
    settings = settings_for(folder, vllm.url)
    with ExitStack() as until_the_end:
        enter = until_the_end.enter_context
        log = enter(closing(open_log(settings.log)))
        log.append("split", SPLIT_KEY, encode(split(1, adapter)))
        if not (vllm.adapters / "model-v2").exists():
            make_adapter(vllm.model, vllm.adapters, "model-v2", seed=2)
        if request.param == "before":
            url = enter(served(gateway_app(settings, until_the_end)))
        else:
            env = {
                "THUMBWHEEL_LOG": settings.log,
                "THUMBWHEEL_SECRET": SECRET,
                "THUMBWHEEL_SERVING_SPOOL": str(folder / "spool"),
            }
            inside = ("--middleware", "serving.vllm_plugin.Middleware")
            output = folder / "vllm.log"
            url = enter(running_engine(tiny_model, vllm.adapters, output, more=inside, env=env)).url
        until(lambda: httpx.get(f"{url}/readyz").status_code == 200, 30)
        yield Place(url, vllm.url, vllm.url if request.param == "before" else url, log)


SAY = [{"role": "user", "content": "Say hello"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"enum": ["Rome", "Oslo"]}}},
    },
}
NAMED = {"type": "function", "function": {"name": "weather"}}
CHATS: dict[str, dict[str, Any]] = {
    "plain": {},
    "two answers": {"n": 2, "temperature": 1, "seed": 3},
    "log-probabilities": {"logprobs": True, "top_logprobs": 2},
    "ids": {"return_token_ids": True},
    "a stop": {"stop": ["e", "a"]},
    "a choice": {"structured_outputs": {"choice": ["yes", "no"]}},
    "a schema": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "s", "schema": {"enum": ["yes", "no"]}},
        }
    },
    "a tool": {"tools": [TOOL], "tool_choice": NAMED, "max_tokens": 40},
    "usage": {"stream_options": {"include_usage": True}, "stream": True},
    "withheld": {"store": False},
}
TEXTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "two prompts, two answers": {"prompt": ["Hi", "Ho"], "n": 2, "temperature": 1, "seed": 3},
    "ids as a prompt": {"prompt": [5, 6, 7]},
    "log-probabilities": {"logprobs": 2},
    "ids": {"return_token_ids": True},
    "an echo": {"echo": True},
}


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("asked", CHATS)
def test_a_chat_is_answered_as_vllm_alone_would(place: Place, asked: str, streams: bool) -> None:
    body = {"messages": SAY, "max_tokens": 12, "temperature": 0, "stream": streams} | CHATS[asked]
    same_as_alone(place, "/v1/chat/completions", body)


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("asked", TEXTS)
def test_a_text_goes_on_as_vllm_alone_would(place: Place, asked: str, streams: bool) -> None:
    body = {"prompt": "Say", "max_tokens": 12, "temperature": 0, "stream": streams} | TEXTS[asked]
    same_as_alone(place, "/v1/completions", body)


def same_as_alone(place: Place, path: str, body: dict[str, Any]) -> None:
    ours = place.post(path, body | {"model": "base"})
    alone = httpx.post(f"{place.alone}{path}", json=body | {"model": "model"}, timeout=PATIENCE)
    assert ours.status_code == alone.status_code == 200, ours.text
    mine, theirs = parts_of(ours), parts_of(alone)
    assert mine[0].pop("feedback_token") == ours.headers["x-thumbwheel-feedback"]
    assert told(mine) == told(theirs)
    # Chunks are cut as time will have it: only which fields there are can be compared.
    assert set(fields(mine)) == set(fields(theirs))


def parts_of(answer: httpx.Response) -> list[dict[str, Any]]:
    if answer.headers["content-type"] == "application/json":
        return [answer.json()]
    *parts, end = answer.text.strip().split("\n\n")
    assert end == "data: [DONE]"
    return [json.loads(part.removeprefix("data: ")) for part in parts]


def told(parts: list[dict[str, Any]]) -> dict[int, str]:
    """By choice: its words, however they were cut."""
    found: dict[int, str] = {}
    for part in parts:
        for choice in part["choices"]:
            words = choice.get("text") or choice.get("delta") or choice.get("message")
            said = words if isinstance(words, str) else "".join(strings(words))
            found[choice["index"]] = found.get(choice["index"], "") + said
    return found


def strings(value: Any) -> list[str]:
    """Of a delta or message, but for names that are drawn anew each time."""
    if isinstance(value, dict):
        return [
            one
            for name in ("content", "function", "arguments", "tool_calls")
            for one in strings(value.get(name))
        ]
    if isinstance(value, list):
        return [one for inner in value for one in strings(inner)]
    return [value] if isinstance(value, str) else []


def fields(value: Any, name: str = "") -> Iterator[str]:
    """The names that lead to all that is there. What is null says no more than what is not."""
    inner = value.items() if isinstance(value, dict) else ()
    for key, held in inner:
        yield from fields(held, f"{name}.{key}")
    if isinstance(value, list):
        for held in value:
            yield from fields(held, name)
    elif value is not None:
        yield name


def test_each_of_several_prompts_is_remembered_with_its_own_ids(place: Place) -> None:
    body = {"model": "base", "prompt": ["Hi", "Hello"], "n": 2, "max_tokens": 3}
    answer = place.post("/v1/completions", body)
    found = place.remembered(answer.json()["id"])
    assert [one.id.partition(".")[2] for one in found] == ["", "1", "2", "3"]
    assert [one.parameters["prompt"] for one in found] == ["Hi", "Hi", "Hello", "Hello"]
    assert found[0].prompt_ids == found[1].prompt_ids != found[2].prompt_ids
    assert all(len(one.answer_ids) == len(one.logprobs) == one.answer_tokens == 3 for one in found)


def test_an_echo_is_remembered_without_ids(place: Place) -> None:
    body = {"model": "model-v1", "prompt": "Hi", "echo": True, "max_tokens": 3}
    answer = place.post("/v1/completions", body).json()
    (found,) = place.remembered(answer["id"])
    assert found.answer == answer["choices"][0]["text"]
    assert (found.answer_ids, found.logprobs) == ((), ())


@pytest.mark.parametrize("streams", [False, True])
def test_two_answers_side_by_side_are_two_completions(place: Place, streams: bool) -> None:
    place.decide(split(2, "model-v1", canary="model-v2", share_percent=1))
    # With random weights both may end at once, and then they say the same.
    long = {"max_tokens": 16, "ignore_eos": True, "temperature": 0}
    body = {"model": "model", "messages": SAY, "stream": streams} | long
    answer = place.post("/v1/chat/completions", body, **{"x-thumbwheel-compare": "canary"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-thumbwheel-compare"] == "canary"
    assert "model-v" not in answer.text + str(answer.headers)
    parts = parts_of(answer)
    assert {choice["index"] for part in parts for choice in part["choices"]} == {0, 1}
    one, other = sorted(place.remembered(parts[0]["id"], 2), key=lambda each: each.id)
    assert other.id == f"{one.id}.1"
    assert {one.adapter, other.adapter} == {"model-v1", "model-v2"}
    said = told(parts)
    assert said[0] != said[1]


def test_whoever_hangs_up_stops_the_engine(place: Place) -> None:
    body = {"model": "base", "messages": SAY, "max_tokens": 400, "ignore_eos": True, "stream": True}
    url = f"{place.url}/v1/chat/completions"
    for _ in range(20):  # a busy machine may wake us when all is said
        made = place.engine_metric("vllm:generation_tokens_total")
        with httpx.stream("POST", url, json=body, timeout=PATIENCE) as response:
            for _ in zip(range(10), response.iter_bytes(), strict=False):
                pass
            id = response.headers["x-thumbwheel-completion"]
        (found,) = place.remembered(id)
        if found.error:
            break
    assert (found.error, found.finish_reason) == ("client closed", None)
    assert found.answer_tokens and found.answer_tokens < 400
    until(lambda: place.engine_metric("vllm:num_requests_running") == 0, 20)
    assert place.engine_metric("vllm:generation_tokens_total") - made < 400


def test_whoever_hangs_up_on_a_whole_answer_stops_the_engine(place: Place) -> None:
    body = {"model": "base", "messages": SAY, "max_tokens": 450, "ignore_eos": True}
    headers = {"content-type": "application/json"}
    before = place.engine_metric("vllm:generation_tokens_total")
    for seconds in (0.1, 0.2, 0.4, 0.8, 1.6) * 4:
        with closing(HTTPConnection(urlsplit(place.url).netloc)) as caller:
            caller.request("POST", "/v1/chat/completions", json.dumps(body), headers)
            time.sleep(seconds)
        until(lambda: place.engine_metric("vllm:num_requests_running") == 0, 20)
        made = place.engine_metric("vllm:generation_tokens_total") - before
        if made % 450:  # else all were answered whole, or not at all
            return
    pytest.fail(f"{made} tokens were made, none of the answers is broken off")


def test_a_page_rates_with_its_token_alone(place: Place) -> None:
    body = {"model": "base", "messages": SAY, "max_tokens": 3, "user": "ann"}
    answer = place.post("/v1/chat/completions", body).json()
    verdict = {"token": answer["feedback_token"], "thumb": "up"}
    assert place.post("/v1/feedback", verdict).status_code == 202


def test_the_sdk_streams_a_tool_call(place: Place) -> None:
    client = openai.OpenAI(base_url=f"{place.url}/v1", api_key="any", timeout=PATIENCE)
    stream = client.chat.completions.create(
        model="base",
        messages=SAY,
        tools=[TOOL],
        tool_choice=NAMED,
        max_tokens=40,
        temperature=0,
        stream=True,
    )  # type: ignore[call-overload]  # plain dicts for the SDK's own types
    calls = [call for part in stream for one in part.choices for call in one.delta.tool_calls or ()]
    assert calls[0].function.name == "weather"
    arguments = "".join(call.function.arguments or "" for call in calls)
    assert arguments.startswith("{")
