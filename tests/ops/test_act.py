"""Two writers of the split, and an engine that answers as told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from feedback.events import encode
from ops import history
from ops.act import CannotLoad, SplitContended, change_split, first_split, warm, warm_all
from serving.split import SPLIT_KEY
from tests.ops.made import Place


def test_of_two_writers_of_one_revision_the_first_wins_and_the_other_is_told(place: Place) -> None:
    seen = first_split(place.log)
    change_split(place.log, seen, "first", "ann", canary="m-v1", share_percent=10.0)
    with pytest.raises(SplitContended, match="revision 2 was written by ann just before: first"):
        change_split(place.log, seen, "second", "bob", pinned=True)
    assert [(s.revision, s.by) for s in history.splits(place.log)] == [(1, "ops"), (2, "ann")]


def test_many_writers_lose_no_revision(place: Place) -> None:
    first_split(place.log)
    done: list[int] = []

    def write(name: str) -> None:
        while True:
            try:
                seen = history.splits(place.log)[-1]
                done.append(change_split(place.log, seen, "so", name).revision)
                return
            except SplitContended:
                continue

    threads = [threading.Thread(target=write, args=(f"w{i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(2, 10))
    assert [s.revision for s in history.splits(place.log)] == list(range(1, 10))


def test_a_split_that_cannot_be_is_refused_with_its_value(place: Place) -> None:
    with pytest.raises(ValueError, match=r"share_percent: .*100.* \(got 120\)"):
        change_split(place.log, first_split(place.log), "so", "ann", canary="m", share_percent=120)


def test_a_split_that_cannot_be_read_is_passed_over(place: Place) -> None:
    split = first_split(place.log)
    place.log.append("split", SPLIT_KEY, b"{}")
    place.log.append("split", SPLIT_KEY, encode(split.model_copy(update={"revision": 2})))
    assert [s.revision for s in history.splits(place.log)] == [1, 2]


class Engine(BaseHTTPRequestHandler):
    status, body = 200, b'{"model": "m-v1"}'
    shown: str | None = None  # the key

    def do_POST(self) -> None:
        type(self).shown = self.headers["authorization"]
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def running() -> Iterator[tuple[str, type[Engine]]]:
    handler = type("Told", (Engine,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.005])
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def engine() -> Iterator[tuple[str, type[Engine]]]:
    with running() as one:
        yield one


def test_an_engine_that_answers_with_the_adapter_is_warm(engine: tuple[str, type[Engine]]) -> None:
    warm(engine[0], "m-v1")
    assert engine[1].shown is None


def test_an_engine_that_takes_a_key_is_shown_one(engine: tuple[str, type[Engine]]) -> None:
    warm(engine[0], "m-v1", "secret")
    assert engine[1].shown == "Bearer secret"


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, b'{"error": {"message": "no such model"}}', CannotLoad),
        (200, b'{"model": "model"}', CannotLoad),
        (503, b"starting", ConnectionError),
        (404, b'{"detail": "Not Found"}', ConnectionError),  # a wrong path
        (404, b"<html>", ConnectionError),
        (401, b'{"error": "Unauthorized"}', ConnectionError),
        (429, b"slow down", ConnectionError),
        (200, b"<html>", ConnectionError),
    ],
)
def test_an_engine_that_does_not_is_said_to(
    engine: tuple[str, type[Engine]], status: int, body: bytes, error: type[Exception]
) -> None:
    engine[1].status, engine[1].body = status, body
    with pytest.raises(error):
        warm(engine[0], "m-v1")


def test_each_engine_must_have_answered(engine: tuple[str, type[Engine]]) -> None:
    with running() as (second, handler):
        warm_all([engine[0], second], "m-v1", "secret")
        assert (engine[1].shown, handler.shown) == ("Bearer secret", "Bearer secret")
        handler.status, handler.body = 404, b'{"error": {"message": "no such model"}}'
        with pytest.raises(CannotLoad, match="no such model"):
            warm_all([engine[0], second], "m-v1")


def test_an_engine_that_is_away_is_no_fault_of_the_adapter() -> None:
    with pytest.raises(ConnectionError, match="does not answer"):
        warm("http://127.0.0.1:9", "m-v1")
