"""What a collector is told of each answer, and what becomes of answers when there is none."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any

import anyio
import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from starlette.types import Receive, Scope, Send

from tests.serving.collector import Traced, attributes, watched
from tests.serving.conftest import PLACES
from tests.serving.gateway import MESSAGES, Gateway, gateway_app, settings_for, split, until
from tests.serving.scripted import PROMPT_IDS, WORDS, ScriptedEngine
from tests.serving.servers import served

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "vendor=x"}


@pytest.fixture(params=PLACES)
def traced(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Traced]:
    with watched(request.param, tmp_path) as traced:
        yield traced


def test_a_span_tells_what_was_asked_and_what_was_answered(traced: Traced) -> None:
    asked: dict[str, Any] = {
        "temperature": 0.5,
        "top_p": 1,
        "max_tokens": 9,
        "seed": 7,
        "stop": "\n",
        "n": 2,
    }
    ids = []

    def act(gateway: Gateway) -> None:
        headers = {"x-thumbwheel-conversation": "conv-7"}
        ids.append(gateway.ask(headers=headers, **asked).json()["id"])

    span = traced.span_of(act)
    assert (span.name, span.kind) == ("chat model", Span.SPAN_KIND_SERVER)
    assert (span.status.code, span.parent_span_id) == (Status.STATUS_CODE_UNSET, b"")
    assert span.start_time_unix_nano < span.end_time_unix_nano
    assert attributes(span) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "model",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 1.0,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.seed": 7,
        "gen_ai.request.stop_sequences": ["\n"],
        "gen_ai.request.choice.count": 2,
        "gen_ai.conversation.id": "conv-7",
        "gen_ai.response.id": ids[0],
        "gen_ai.response.model": "model-v1",
        "gen_ai.response.finish_reasons": ["stop", "stop"],
        "gen_ai.usage.input_tokens": len(PROMPT_IDS),
        "gen_ai.usage.output_tokens": 2 * len(WORDS),
        "thumbwheel.adapter": "model-v1",
        "thumbwheel.split_revision": 1,
    }


def test_a_stream_tells_when_its_first_part_came(traced: Traced) -> None:
    def act(gateway: Gateway) -> None:
        gateway.engine.word_seconds = 0.05
        gateway.stream(model="base")

    span = traced.span_of(act)
    said = attributes(span)
    assert span.name == "chat base"
    assert said["gen_ai.request.stream"] is True
    seconds = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9
    assert 0 < said["gen_ai.response.time_to_first_chunk"] < seconds
    assert (said["thumbwheel.adapter"], said["gen_ai.response.model"]) == ("base", "model")
    assert "thumbwheel.split_revision" not in said


def test_a_text_is_a_text_completion(traced: Traced) -> None:
    body = {"model": "model", "prompt": "Say hello"}
    span = traced.span_of(lambda gateway: gateway.http.post("/v1/completions", json=body))
    assert span.name == "text_completion model"
    assert attributes(span)["gen_ai.operation.name"] == "text_completion"
    assert attributes(span)["gen_ai.usage.output_tokens"] == len(WORDS)


def test_the_callers_trace_goes_on_to_the_engine_with_our_span_in_between(traced: Traced) -> None:
    span = traced.span_of(lambda gateway: gateway.ask(headers=PARENT))
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, CALLER)
    (told,) = traced.engine.headers
    assert told["traceparent"] == f"00-{TRACE}-{span.span_id.hex()}-01"
    assert told["tracestate"] == span.trace_state == "vendor=x"


def test_what_the_caller_does_not_sample_leaves_no_span_and_says_so_on(traced: Traced) -> None:
    off = {"traceparent": f"00-{TRACE}-{CALLER}-00"}
    assert traced.spans_of(lambda gateway: gateway.ask(headers=off)) == []
    assert traced.engine.headers[0]["traceparent"].startswith(f"00-{TRACE}-")
    assert traced.engine.headers[0]["traceparent"].endswith("-00")


def test_a_trace_that_is_none_is_no_parent(traced: Traced) -> None:
    span = traced.span_of(lambda gateway: gateway.ask(headers={"traceparent": "00-zz-1"}))
    assert (len(span.trace_id), span.parent_span_id) == (16, b"")


@pytest.mark.parametrize("streams", [False, True])
def test_an_engine_that_fails_is_an_error_that_quotes_nothing(
    traced: Traced, streams: bool
) -> None:
    def act(gateway: Gateway) -> None:
        gateway.engine.refuses = {} if streams else {"model-v1": 500}
        gateway.engine.breaks_after = 1
        gateway.ask(stream=streams, user="ann@example.org")

    span = traced.span_of(act)
    assert (span.status.code, span.status.message) == (Status.STATUS_CODE_ERROR, "")
    assert attributes(span)["error.type"] == "engine_error"
    assert attributes(span)["thumbwheel.adapter"] == "model-v1"
    assert len(span.events) == 0
    for word in (MESSAGES[0]["content"], WORDS[0], "ann@", "could not be loaded", "on fire"):
        assert word.encode() not in b"".join(traced.collector.raw)


def test_an_unknown_model_is_the_callers_error_and_names_no_span(traced: Traced) -> None:
    span = traced.span_of(lambda gateway: gateway.ask("gpt-4"))
    assert (span.name, span.status.code) == ("chat", Status.STATUS_CODE_UNSET)
    assert attributes(span)["error.type"] == "unknown_model"
    assert attributes(span)["gen_ai.request.model"] == "gpt-4"


def test_a_reader_who_hangs_up_ends_the_span(traced: Traced) -> None:
    def act(gateway: Gateway) -> None:
        gateway.engine.word_seconds = 0.2
        body = {"model": "model", "messages": MESSAGES, "stream": True}
        with gateway.http.stream("POST", "/v1/chat/completions", json=body) as response:
            next(line for line in response.iter_lines() if WORDS[0] in line)
        until(lambda: gateway.engine.left == 1)

    said = attributes(span := traced.span_of(act))
    assert (said["error.type"], span.status.code) == ("client_closed", Status.STATUS_CODE_UNSET)
    assert said["gen_ai.usage.output_tokens"] == 1
    assert "gen_ai.response.finish_reasons" not in said


def test_a_comparison_is_two_spans_of_one_trace(traced: Traced) -> None:
    def act(gateway: Gateway) -> None:
        gateway.decide(split(2, canary="model-v2", share_percent=0))
        ids.append(gateway.ask(headers=PARENT | {"x-thumbwheel-compare": "canary"}).json()["id"])

    ids: list[str] = []
    spans = traced.spans_of(act)
    found = [attributes(span) for span in spans]
    assert {span.parent_span_id.hex() for span in spans} == {CALLER}
    assert {one["thumbwheel.adapter"] for one in found} == {"model-v1", "model-v2"}
    assert {one["gen_ai.response.id"] for one in found} == {ids[0], f"{ids[0]}.1"}


def test_when_stable_answers_for_a_canary_the_span_is_of_stable(traced: Traced) -> None:
    def act(gateway: Gateway) -> None:
        gateway.decide(split(2, canary="model-v3", share_percent=100))
        assert gateway.ask().status_code == 200

    assert attributes(traced.span_of(act))["thumbwheel.adapter"] == "model-v1"


ODD: list[tuple[str, Any]] = [
    ("temperature", {"a": "secret"}),
    ("temperature", "secret"),
    ("top_p", True),
    ("seed", 2**64),
    ("temperature", 10**400),
    ("max_tokens", ["secret"]),
    ("stop", [["secret"], 7, None]),
    ("stop", {"a": "secret"}),
    ("n", None),
]


def test_what_no_attribute_can_hold_is_left_out_and_harms_no_other_span(traced: Traced) -> None:
    def act(gateway: Gateway) -> None:
        for name, value in ODD:
            gateway.ask(**{name: value})
        gateway.ask("x" * 10_000)
        gateway.ask(stop=["s" * 10_000] * 100)

    *odd, long, stops = [attributes(span) for span in traced.spans_of(act)]
    assert len(odd) == len(ODD)
    plain = {"operation.name", "provider.name", "request.model"}
    for said in odd:
        asked = {name.removeprefix("gen_ai.") for name in said if ".re" in name or ".op" in name}
        assert {name for name in asked if not name.startswith("response.")} <= plain
    assert b"secret" not in b"".join(traced.collector.raw)
    assert len(long["gen_ai.request.model"]) == 200
    assert [len(one) for one in stops["gen_ai.request.stop_sequences"]] == [200] * 16


def test_spans_are_of_the_service_that_the_operator_names(
    traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    def service() -> str:
        traced.collector.raw.clear()
        traced.span_of(lambda gateway: gateway.ask())
        resource = {one.key: one.value for one in traced.collector.told[0].resource.attributes}
        return str(resource["service.name"].string_value)

    assert service() == "thumbwheel"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop-model")
    assert service() == "shop-model"


@pytest.mark.integration
@pytest.mark.parametrize("away", ["refuses", "is silent"])
def test_a_collector_that_is_away_costs_no_answer_and_ends_no_process(
    tmp_path: Path, away: str
) -> None:
    ended = Event()

    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"  # a server can do without the other kinds
        while not ended.is_set():  # noqa: ASYNC110 (set by a thread)
            await anyio.sleep(0.01)

    with ExitStack() as outer:
        url = "http://127.0.0.1:9" if away == "refuses" else outer.enter_context(served(silent))
        outer.callback(ended.set)
        engine = outer.enter_context(served(ScriptedEngine().app()))
        more = {"serving_traces": f"{url}/v1/traces", "serving_first_stable": "model-v1"}
        with ExitStack() as until_the_end:
            app = gateway_app(settings_for(tmp_path, engine, **more), until_the_end)
            with served(app) as here, httpx.Client(base_url=here, timeout=10) as http:
                body = {"model": "model", "messages": MESSAGES}
                for _ in range(600):  # more than a batch
                    assert http.post("/v1/chat/completions", json=body).status_code == 200


@pytest.mark.integration
def test_who_wants_no_traces_loads_nothing_for_them(tmp_path: Path) -> None:
    code = f"""
import sys
from contextlib import ExitStack
from pathlib import Path
from tests.serving.gateway import gateway_app, settings_for
with ExitStack() as until_the_end:
    gateway_app(settings_for(Path({str(tmp_path)!r}), "http://127.0.0.1:9"), until_the_end)
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
