"""The worker on both logs, a real folder and a real database, killed between any two steps."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from feedback import examples
from feedback.events import Completion, DeadLetter, decode, encode
from feedback.examples import Example, Watermark
from feedback.join import Said
from feedback.log import Log
from feedback.metrics import Metrics
from feedback.window import Window
from feedback.worker import Worker
from tests.feedback.made import completion, retraction, thumb


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Window]:
    window = Window(tmp_path / "window.db")
    yield window
    window.close()


def fill(log: Log, pairs: int) -> None:
    for i in range(pairs):
        log.append("completions", f"c{i}", encode(completion(f"c{i}")))
        log.append("verdicts", f"c{i}", encode(thumb(i % 3 == 0, 1, of=f"c{i}")))


def run(worker: Worker, limit: int = 1000) -> None:
    while worker.step(0, limit):
        pass


def thumbs(folder: Path) -> dict[str, bool | None]:
    return {row.completion_id: row.up for row in examples.read(folder).examples}


def test_verdicts_become_examples_once(log: Log, window: Window, tmp_path: Path) -> None:
    fill(log, 30)
    worker = Worker(log, window, tmp_path / "examples", Metrics())
    run(worker, limit=7)
    assert thumbs(tmp_path / "examples") == {f"c{i}": i % 3 == 0 for i in range(30)}
    assert worker.step(0) == 0


def test_late_and_changed_verdicts_replace_the_earlier(
    log: Log, window: Window, tmp_path: Path
) -> None:
    worker = Worker(log, window, tmp_path / "examples", Metrics())
    log.append("verdicts", "c1", encode(thumb(True, 1)))
    run(worker)
    assert thumbs(tmp_path / "examples") == {}
    log.append("completions", "c1", encode(completion()))
    run(worker)
    assert thumbs(tmp_path / "examples") == {"c1": True}
    log.append("verdicts", "c1", encode(thumb(False, 2)))
    run(worker)
    assert thumbs(tmp_path / "examples") == {"c1": False}
    log.append("verdicts", "c1", encode(retraction(3)))
    run(worker)
    assert thumbs(tmp_path / "examples") == {}


def test_what_cannot_be_read_goes_to_the_dead_letters_with_its_reason(
    log: Log, window: Window, tmp_path: Path
) -> None:
    log.append("verdicts", "k", b"{")
    log.append("verdicts", "c1", encode(thumb(True)).replace(b'"up":true', b'"up":"yes"'))
    log.append("completions", "c1", encode(completion()))
    log.append("verdicts", "c1", encode(thumb(True)))
    run(Worker(log, window, tmp_path / "examples", Metrics()))
    letters = [decode(r.value, (DeadLetter,)) for r in log.read("deadletter", 0, 0)]
    assert [(one.topic, one.offset) for one in letters] == [("verdicts", 0), ("verdicts", 1)]
    assert letters[0].reason.startswith("not JSON")
    assert "thumb: up:" in letters[1].reason
    assert thumbs(tmp_path / "examples") == {"c1": True}


@pytest.mark.parametrize(
    "poison",
    [
        {"prompt_ids": [2**31]},
        {"answer_ids": [4, 2**31]},
        {"answer_ids": [4, -(2**31) - 1]},
        {"split_revision": 2**63},
        {"at": "9999-12-31T23:00:00-05:00"},
        {"answer": "half a \ud83d"},
        {"user": "\ud83d"},
        {"messages": [{"role": "user", "content": "\ude00"}]},
        {"logprobs": [-0.1, float("nan")]},
    ],
)
def test_what_no_example_could_hold_is_put_aside_and_the_next_verdict_counts(
    log: Log, window: Window, tmp_path: Path, poison: dict[str, object]
) -> None:
    bad = json.loads(encode(completion("bad"))) | poison
    log.append("completions", "bad", json.dumps(bad).encode())
    log.append("verdicts", "bad", encode(thumb(True, of="bad")))
    fill(log, 1)
    run(Worker(log, window, tmp_path / "examples", Metrics()))
    (letter,) = [decode(r.value, (DeadLetter,)) for r in log.read("deadletter", 0, 0)]
    assert (letter.topic, letter.offset) == ("completions", 0)
    assert thumbs(tmp_path / "examples") == {"c0": True}


def test_a_verdict_at_a_time_that_no_example_could_hold_is_put_aside(
    log: Log, window: Window, tmp_path: Path
) -> None:
    late = json.loads(encode(thumb(False))) | {"at": "9999-12-31T23:00:00-05:00"}
    log.append("completions", "c1", encode(completion()))
    log.append("verdicts", "c1", json.dumps(late).encode())
    log.append("verdicts", "c1", encode(thumb(True)))
    run(Worker(log, window, tmp_path / "examples", Metrics()))
    (letter,) = [decode(r.value, (DeadLetter,)) for r in log.read("deadletter", 0, 0)]
    assert "thumb: at: expected a time within the years 1 to 9999" in letter.reason
    assert thumbs(tmp_path / "examples") == {"c1": True}


class Killed(Exception):
    """As kill -9 would, but the test lives on."""


class DyingWindow(Window):
    """Dies when it should remember, after the file of examples is there."""

    def commit(self, completions: list[Completion], said: list[Said], end: Watermark) -> None:
        raise Killed


def test_a_crash_after_the_file_repeats_nothing_and_skips_nothing(
    log: Log, window: Window, tmp_path: Path
) -> None:
    folder = tmp_path / "examples"
    fill(log, 5)
    dying = DyingWindow(tmp_path / "window.db")
    with pytest.raises(Killed):
        Worker(log, dying, folder, Metrics()).step(0)
    dying.close()
    (first,) = examples.batches(folder)
    before = first.path.read_bytes()

    log.append("verdicts", "c0", encode(thumb(False, 9, of="c0")))  # more has come meanwhile
    run(Worker(log, window, folder, Metrics()))
    assert first.path.read_bytes() == before
    assert len(examples.batches(folder)) == 2
    everything: list[Example] = [row for b in examples.batches(folder) for row in examples.rows(b)]
    assert [row.completion_id for row in everything].count("c1") == 1
    assert thumbs(folder)["c0"] is False


def test_the_same_log_gives_the_same_bytes(log: Log, tmp_path: Path) -> None:
    fill(log, 40)
    written = []
    for replay in ("one", "two"):
        window = Window(tmp_path / f"{replay}.db")
        run(Worker(log, window, tmp_path / replay, Metrics()), limit=9)
        window.close()
        written.append({p.name: p.read_bytes() for p in (tmp_path / replay).iterdir()})
    assert written[0] == written[1]
    assert len(written[0]) > 3
