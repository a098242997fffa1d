"""A disk that is full under the real gateway and the real worker: told, and nothing is lost."""

import resource
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from feedback import examples
from feedback.events import VERDICT_KINDS, Thumb, decode
from feedback.log import Log, open_log, read_all
from tests.integration.processes import Pair, Room, running
from tests.serving.gateway import until
from tests.serving.scripted import ScriptedEngine
from tests.serving.servers import served

pytestmark = pytest.mark.integration
# The system refuses to let a file of the process grow beyond this, as a full disk would.
FULL_BYTES = 600_000
COMMENT = "x" * 3000


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with (
        served(ScriptedEngine().app()) as engine,
        running(tmp_path / "loop", f"sqlite:///{tmp_path}/log.db", engine) as pair,
    ):
        yield pair


def fill_disk(room: Room, size: int = FULL_BYTES) -> None:
    assert room.process is not None
    hard = resource.prlimit(room.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(room.process.pid, resource.RLIMIT_FSIZE, (size, hard))


def make_room(room: Room) -> None:
    fill_disk(room, resource.RLIM_INFINITY)


class App:
    """What an app sees."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self.accepted: list[str] = []
        self.refused: list[httpx.Response] = []

    def close(self) -> None:
        self.http.close()

    def ask(self) -> str:
        body = {"model": "model", "messages": [{"role": "user", "content": "hello"}]}
        answer = self.http.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200  # a full disk is no matter to who asks
        return str(answer.json()["id"])

    def judge(self, completion_id: str, key: str) -> bool:
        said = {"completion_id": completion_id, "thumb": "up", "key": key, "comment": COMMENT}
        answer = self.http.post("/v1/feedback", json=said)
        if answer.status_code == 202:
            self.accepted.append(key)
        else:
            self.refused.append(answer)
        return answer.status_code == 202


@pytest.fixture
def app(pair: Pair) -> Iterator[App]:
    with closing(App(pair.url)) as app:
        yield app


def test_the_gateway_says_that_it_cannot_store_and_loses_nothing(pair: Pair, app: App) -> None:
    ids = [app.ask() for _ in range(400)]
    fill_disk(pair.gateway)
    for number, completion_id in enumerate(ids):
        app.judge(completion_id, f"k{number}")
    assert app.accepted
    assert app.refused, "the disk was never full"
    for answer in app.refused:
        assert answer.status_code == 503
        assert "the verdict could not be stored, send it again" in answer.json()["error"]["message"]
    app.ask()
    make_room(pair.gateway)
    for number, completion_id in enumerate(ids):  # as an app does: again, with the same keys
        assert app.judge(completion_id, f"k{number}")
    with closing(open_log(pair.log)) as log:
        until(lambda: _keys(log) >= set(app.accepted), seconds=60)
    until(lambda: _settled(pair) == {name: True for name in ids}, seconds=60)


def test_the_worker_waits_for_room_and_goes_on(pair: Pair, app: App) -> None:
    fill_disk(pair.worker, 4000)  # of one row a file of examples is twice as long
    ids = [app.ask() for _ in range(50)]
    for number, completion_id in enumerate(ids):
        assert app.judge(completion_id, f"k{number}")
    until(
        lambda: b"no verdict is joined at the moment" in pair.worker.output.read_bytes(), seconds=60
    )
    assert not _settled(pair)
    make_room(pair.worker)
    until(lambda: len(_settled(pair)) == 50, seconds=60)
    assert pair.worker.process is not None
    assert pair.worker.process.poll() is None


def _keys(log: Log) -> set[str]:
    found = [decode(record.value, VERDICT_KINDS) for record in read_all(log, "verdicts")]
    return {event.key for event in found if isinstance(event, Thumb)}


def _settled(pair: Pair) -> dict[str, bool | None]:
    return {row.completion_id: row.up for row in examples.read(pair.examples).examples}
