"""Guardrails in PromQL, asked of a scripted Prometheus over HTTP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlparse

import httpx
import pytest
from pydantic import ValidationError

from ops import history, queries
from ops.queries import Prometheus, Query
from ops.seen import Queried
from ops.trial import Rollout, rollout
from tests.ops.made import Place
from tests.ops.moved import begin

QUERY = Query(name="p99", promql='x{adapter="$canary"} / x{adapter="$stable"}', most=2.0)


@contextmanager
def saying(status: int, body: str) -> Iterator[tuple[str, list[str]]]:
    asked = list[str]()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.extend(parse_qs(urlparse(self.path).query)["query"])
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()


def vector(*values: str) -> str:
    found = ", ".join(f'{{"metric": {{}}, "value": [1, "{value}"]}}' for value in values)
    return f'{{"status": "success", "data": {{"resultType": "vector", "result": [{found}]}}}}'


@pytest.fixture
def trial(place: Place) -> Rollout:
    begin(place, "m-v1")
    now = rollout(history.splits(place.log))
    assert now
    return now


def test_it_asks_of_this_canary_and_takes_the_largest_value(trial: Rollout) -> None:
    with saying(200, vector("1.5", "2.5", "NaN")) as (url, asked):
        assert Prometheus(url, [QUERY]).ask(trial) == [Queried("p99", 2.5, 2.0)]
    assert asked == ['x{adapter="m-v1"} / x{adapter="base"}']


def test_it_asks_no_more_often_than_prometheus_scrapes(trial: Rollout) -> None:
    with saying(200, vector("1")) as (url, asked):
        one = Prometheus(url, [QUERY])
        assert one.ask(trial) == one.ask(trial)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, vector()),
        (200, vector("NaN")),
        (200, vector("+Inf")),
        (400, '{"status": "error"}'),
        (200, "<html>"),
    ],
)
def test_what_it_cannot_say_is_not_known(trial: Rollout, status: int, body: str) -> None:
    with saying(status, body) as (url, _):
        (found,) = Prometheus(url, [QUERY]).ask(trial)
    assert (found.value, found.most) == (None, 2.0)


def test_what_is_wrong_with_a_query_is_passed_on(trial: Rollout) -> None:
    with saying(400, '{"status": "error", "error": "parse error: unclosed brace"}') as (url, _):
        (found,) = Prometheus(url, [QUERY]).ask(trial)
    assert "parse error: unclosed brace" in found.why


def test_a_scalar_is_a_value_too(trial: Rollout) -> None:
    scalar = '{"status": "success", "data": {"resultType": "scalar", "result": [1, "2.5"]}}'
    with saying(200, scalar) as (url, _):
        assert Prometheus(url, [QUERY]).ask(trial) == [Queried("p99", 2.5, 2.0)]


def test_where_nobody_answers_nothing_is_known(trial: Rollout) -> None:
    (found,) = Prometheus("http://127.0.0.1:9", [QUERY]).ask(trial)
    assert found.value is None
    assert "Connect" in found.why


def test_where_it_is_away_that_is_waited_for_once(
    trial: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[object]()

    def late(*_: object, **more: object) -> None:
        asked.append(more)
        raise httpx.ConnectTimeout("timed out")

    monkeypatch.setattr(httpx, "get", late)
    found = Prometheus("http://127.0.0.1:9", [QUERY] * 8).ask(trial)
    assert [one.why for one in found] == ["ConnectTimeout('timed out')"] * 8
    assert len(asked) == 1


def test_a_late_query_blinds_no_other_one(trial: Rollout, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = httpx.get

    def late(url: str, params: dict[str, str], **more: Any) -> httpx.Response:
        if params["query"] == "heavy":
            raise httpx.ReadTimeout("timed out")
        return ask(url, params=params, **more)

    monkeypatch.setattr(httpx, "get", late)
    heavy = Query(name="heavy", promql="heavy", most=1.0)
    with saying(200, vector("2.5")) as (url, _):
        found = Prometheus(url, [heavy, QUERY]).ask(trial)
    assert [(one.name, one.value) for one in found] == [("heavy", None), ("p99", 2.5)]


def test_those_that_had_no_turn_come_first_the_next_time(
    trial: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(queries, "_ALL_SECONDS", 0.15)
    clock = iter(range(1000))
    monkeypatch.setattr(queries, "time", SimpleNamespace(monotonic=lambda: 0.1 * next(clock)))
    names = ("a", "b", "c")
    with saying(200, vector("1")) as (url, asked):
        one = Prometheus(url, [Query(name=name, promql=name, most=2.0) for name in names])
        rounds = [[found.value for found in one.ask(trial)] for _ in range(3)]
    assert asked == ["a", "b", "c"]
    assert rounds == [[1.0, None, None], [None, 1.0, None], [None, None, 1.0]]


def test_a_query_without_a_bound_is_refused() -> None:
    with pytest.raises(ValidationError, match="most"):
        Query.model_validate({"name": "p99", "promql": "x"})
