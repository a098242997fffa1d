"""The worker on both logs, a real folder and a real database, killed between any two steps."""

import json
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from feedback import examples
from feedback.events import (
    Completion,
    DeadLetter,
    Forget,
    Ruling,
    Verdict,
    decode,
    encode,
)
from feedback.examples import Example, Watermark
from feedback.intake import AnotherLog, Intake
from feedback.join import Said, Served
from feedback.log import Log, Record
from feedback.log_sqlite import SqliteLog
from feedback.metrics import Metrics
from feedback.window import Window
from feedback.worker import Worker
from tests.feedback.made import (
    SPAN,
    at,
    comparison,
    completion,
    retraction,
    ruling,
    settled,
    thumb,
    worker,
)


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Window]:
    window = Window(tmp_path / "window.db")
    yield window
    window.close()


def fill(log: Log, pairs: int) -> None:
    for i in range(pairs):
        log.append("completions", f"c{i}", encode(completion(f"c{i}")))
        log.append("verdicts", f"c{i}", encode(thumb(i % 3 == 0, 1, of=f"c{i}")))


def run(works: Worker, limit: int = 1000) -> None:
    while works.step(limit):
        pass


def thumbs(folder: Path) -> dict[str, bool | None]:
    return {row.completion_id: row.up for row in examples.read(folder).examples}


def test_verdicts_become_examples_once(log: Log, window: Window, tmp_path: Path) -> None:
    fill(log, 30)
    works = worker(log, window, tmp_path / "examples")
    run(works, limit=7)
    assert thumbs(tmp_path / "examples") == {f"c{i}": i % 3 == 0 for i in range(30)}
    assert works.step() == 0


def test_verdicts_on_very_long_answers_are_taken_a_few_at_a_time(log: Log, tmp_path: Path) -> None:
    folder, served = tmp_path / "examples", [completion(f"c{i}") for i in range(5)]
    two = 2 * len(encode(served[0]))
    for one in served:
        log.append("completions", one.id, encode(one))
    with closing(Window(tmp_path / "window.db", max_bytes_at_once=two)) as window:
        works = worker(log, window, folder)
        works.step()
        for one in served:
            log.append("verdicts", one.id, encode(thumb(True, of=one.id)))
        reached = []
        while works.step():
            reached.append((len(thumbs(folder)), works.full))
    assert reached == [(2, True), (4, True), (5, False)]


def test_late_and_changed_verdicts_replace_the_earlier(
    log: Log, window: Window, tmp_path: Path
) -> None:
    works = worker(log, window, tmp_path / "examples")
    log.append("verdicts", "c1", encode(thumb(True, 1)))
    run(works)
    assert thumbs(tmp_path / "examples") == {}
    log.append("completions", "c1", encode(completion()))
    run(works)
    assert thumbs(tmp_path / "examples") == {"c1": True}
    log.append("verdicts", "c1", encode(thumb(False, 2)))
    run(works)
    assert thumbs(tmp_path / "examples") == {"c1": False}
    log.append("verdicts", "c1", encode(retraction(3)))
    run(works)
    assert thumbs(tmp_path / "examples") == {}


def test_what_cannot_be_read_goes_to_the_dead_letters_with_its_reason(
    log: Log, window: Window, tmp_path: Path
) -> None:
    log.append("verdicts", "k", b"{")
    log.append("verdicts", "c1", encode(thumb(True)).replace(b'"up":true', b'"up":"yes"'))
    log.append("completions", "c1", encode(completion()))
    log.append("verdicts", "c1", encode(thumb(True)))
    run(worker(log, window, tmp_path / "examples"))
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
    run(worker(log, window, tmp_path / "examples"))
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
    run(worker(log, window, tmp_path / "examples"))
    (letter,) = [decode(r.value, (DeadLetter,)) for r in log.read("deadletter", 0, 0)]
    assert "thumb: at: expected a time within the years 1 to 9999" in letter.reason
    assert thumbs(tmp_path / "examples") == {"c1": True}


class Killed(Exception):
    """As kill -9 would, but the test lives on."""


class DyingWindow(Window):
    """Dies when it should remember, after the file of examples is there."""

    def commit(self, served: list[Served], said: list[Said], end: Watermark) -> int:
        raise Killed


def test_a_crash_after_the_file_repeats_nothing_and_skips_nothing(
    log: Log, window: Window, tmp_path: Path
) -> None:
    folder = tmp_path / "examples"
    fill(log, 5)
    dying = DyingWindow(tmp_path / "window.db")
    with pytest.raises(Killed):
        worker(log, dying, folder).step()
    dying.close()
    (first,) = examples.batches(folder)
    before = first.path.read_bytes()

    log.append("verdicts", "c0", encode(thumb(False, 9, of="c0")))  # more has come meanwhile
    run(worker(log, window, folder))
    assert first.path.read_bytes() == before
    assert len(examples.batches(folder)) == 2
    everything: list[Example] = [row for b in examples.batches(folder) for row in examples.rows(b)]
    assert [row.completion_id for row in everything].count("c1") == 1
    assert thumbs(folder)["c0"] is False


def test_a_batch_that_could_not_be_stored_is_read_again(log: Log, tmp_path: Path) -> None:
    class Full(Window):
        fails = False

        def commit(self, served: list[Served], said: list[Said], end: Watermark) -> int:
            self.fails = not self.fails
            if self.fails:
                raise OSError("no room")
            return super().commit(served, said, end)

    fill(log, 10)
    with closing(Full(tmp_path / "window.db")) as window:
        works, found = worker(log, window, tmp_path / "examples"), []
        while 0 not in found:
            with suppress(OSError):
                found.append(works.step(2))
    assert found == [4, 4, 4, 4, 4, 0]
    rows = [row for b in examples.batches(tmp_path / "examples") for row in examples.rows(b)]
    assert [row.completion_id for row in rows] == [f"c{i}" for i in range(10)]


def test_what_cannot_be_read_is_put_aside_once_however_few_verdicts_fit(
    log: Log, tmp_path: Path
) -> None:
    with closing(Window(tmp_path / "window.db", max_bytes_at_once=1)) as window:
        works = worker(log, window, tmp_path / "examples")
        for name in ("c0", "c1"):
            log.append("completions", name, encode(completion(name)))
        works.step()
        for name in ("c0", "c1"):
            log.append("verdicts", name, encode(thumb(True, of=name)))
            log.append("verdicts", name, b"{")
        run(works)
    letters = [decode(r.value, (DeadLetter,)) for r in log.read("deadletter", 0, 0)]
    assert [one.offset for one in letters] == [1, 3]
    assert thumbs(tmp_path / "examples") == {"c0": True, "c1": True}


def test_the_same_log_gives_the_same_bytes(log: Log, tmp_path: Path) -> None:
    fill(log, 40)
    written = []
    for replay in ("one", "two"):
        window = Window(tmp_path / f"{replay}.db")
        run(worker(log, window, tmp_path / replay), limit=9)
        window.close()
        written.append({p.name: p.read_bytes() for p in (tmp_path / replay).iterdir()})
    assert written[0] == written[1]
    assert len(written[0]) > 3


def forget(log: Log, user: str) -> None:
    log.append("forgets", user, encode(Forget(at=at(5), user=user, by="eve")))


def test_a_user_who_is_forgotten_leaves_the_examples_and_comes_in_no_more(
    log: Log, window: Window, tmp_path: Path
) -> None:
    folder, works = tmp_path / "examples", worker(log, window, tmp_path / "examples")
    for name, user in (("c1", "ann"), ("c2", "bob"), ("c3", "bob")):
        log.append("completions", name, encode(completion(name, user=user)))
    log.append("verdicts", "c1", encode(thumb(True, of="c1")))
    log.append("verdicts", "c2", encode(thumb(True, of="c2")))
    log.append("verdicts", "c2", encode(thumb(True, 2, of="c2", user="ann")))
    run(works)
    forget(log, "ann")
    log.append("verdicts", "c1", encode(thumb(False, 3, of="c1", user="bob")))
    log.append("completions", "c4", encode(completion("c4", user="ann")))
    log.append("verdicts", "c4", encode(thumb(True, 4, of="c4")))
    log.append("verdicts", "c3", encode(thumb(True, 5, of="c3")))
    log.append("verdicts", "c3", encode(thumb(True, 6, of="c3", user="ann")))
    run(works)
    rows = [row for batch in examples.batches(folder) for row in examples.rows(batch)]
    assert [(row.completion_id, row.rater) for row in rows] == [("c2", "bob"), ("c3", "bob")]
    assert b"question c1" not in b"".join(path.read_bytes() for path in folder.iterdir())


def test_a_forgetting_that_died_on_the_way_is_done_again(
    log: Log, window: Window, tmp_path: Path
) -> None:
    class Dying(Window):
        def forget(self, users: set[str], end: Watermark) -> None:
            raise Killed

    fill(log, 3)
    run(worker(log, window, tmp_path / "examples"))
    forget(log, "ann")
    dying = Dying(tmp_path / "window.db")
    with pytest.raises(Killed):
        worker(log, dying, tmp_path / "examples").step()
    dying.close()
    assert worker(log, window, tmp_path / "examples").step() == 0
    assert window.forgotten == {"ann"}
    assert thumbs(tmp_path / "examples") == {}


def test_records_that_the_log_removed_are_counted_and_the_rest_is_read(
    window: Window, tmp_path: Path
) -> None:
    class Shortened(SqliteLog):
        """Without what came before offset 3."""

        def read(self, topic: str, partition: int, start: int, limit: int = 1000) -> list[Record]:
            return super().read(topic, partition, max(start, 3), limit)

    registry = CollectorRegistry()
    metrics = Metrics(registry)
    with closing(Shortened(tmp_path / "log.db")) as log:
        fill(log, 5)
        intake = Intake(log, 0, metrics)
        run(Worker(intake, window, tmp_path / "examples", metrics, span=SPAN))
    assert thumbs(tmp_path / "examples").keys() == {"c3", "c4"}
    missed = "thumbwheel_feedback_missed_records_total"
    assert registry.get_sample_value(missed, {"topic": "verdicts"}) == 3


def test_a_log_that_ends_before_the_window_is_refused(
    log: Log, window: Window, tmp_path: Path
) -> None:
    window.commit([], [], {"completions/0": 0, "verdicts/0": 7})
    with pytest.raises(AnotherLog, match="verdicts/0 was read up to 7 and ends at 0"):
        worker(log, window, tmp_path / "examples").step()


MIXED: list[Completion | Verdict | Ruling] = [
    *(completion(name) for name in ("g", "g.1", "h")),
    *(thumb(True, 1, of="g", key="k1"), thumb(False, 2, of="g", key="k2")),
    *(thumb(True, 1, of="h"), thumb(True, 1, of="h"), thumb(False, 1, of="h", user="bob")),
    *(comparison("g", "g.1"), retraction(3, of="h"), ruling(0.0, 5, of="g")),
]


@settings(max_examples=15, deadline=None)  # each example syncs some files
@given(
    st.permutations(MIXED),
    st.lists(st.integers(1, 4), min_size=1, max_size=12),
    st.sampled_from([1, 10_000]),
)
def test_any_order_and_any_crash_settle_to_the_same(
    order: list[Completion | Verdict | Ruling], steps: list[int], most: int
) -> None:
    """Each number is a batch; a worker dies after its file whenever the number is odd. Of `most`
    bytes at once, one verdict at a time where that is next to nothing."""
    with (
        TemporaryDirectory() as folder,
        closing(SqliteLog((home := Path(folder)) / "log.db")) as log,
        closing(Window(home / "w.db", max_bytes_at_once=most)) as window,
    ):
        for event in order:
            topic = "completions" if isinstance(event, Completion) else "verdicts"
            log.append(topic, "g", encode(event))
        for size in steps:
            if size % 2:
                dying = DyingWindow(home / "w.db", max_bytes_at_once=most)
                with closing(dying), suppress(Killed):
                    worker(log, dying, home / "examples").step(size)
            worker(log, window, home / "examples").step(size)
        run(worker(log, window, home / "examples"))
        found = examples.read(home / "examples").examples
    expected = [row for row in settled(*MIXED) if not row.retracted]
    assert _said(found) == _said(expected)


def _said(rows: list[Example]) -> set[tuple[object, ...]]:
    return {(row.identity, row.up, row.winner, row.weight, row.verdict_key) for row in rows}


def test_a_power_cut_that_took_several_positions_makes_no_row_twice(
    log: Log, tmp_path: Path
) -> None:
    """The second batch settled nothing, so it left no file."""
    folder = tmp_path / "examples"
    with closing(Window(tmp_path / "w.db")) as window:
        works = worker(log, window, folder)
        fill(log, 3)
        works.step()
        log.append("completions", "early", encode(completion("early")))
        works.step()
        for n in (7, 8):
            log.append("completions", f"c{n}", encode(completion(f"c{n}")))
            log.append("verdicts", f"c{n}", encode(thumb(True, 1, of=f"c{n}")))
        works.step()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    log.append("verdicts", "early", encode(thumb(True, 1, of="early")))
    with closing(Window(tmp_path / "as it was before.db")) as window:
        run(worker(log, window, folder))
    rows = [row.completion_id for b in examples.batches(folder) for row in examples.rows(b)]
    assert sorted(rows) == ["c0", "c1", "c2", "c7", "c8", "early"]
    assert before.items() <= {path.name: path.read_bytes() for path in folder.iterdir()}.items()


def test_what_a_dead_writer_left_unfinished_is_removed(
    log: Log, window: Window, tmp_path: Path
) -> None:
    folder = tmp_path / "examples"
    fill(log, 1)
    folder.mkdir()
    for name in ("0000-000000000009-000000000009.tmp", "0001-000000000009-000000000009.tmp"):
        (folder / name).write_bytes(b"words of somebody who wants to be forgotten")
    run(worker(log, window, folder))
    assert sorted(path.suffix for path in folder.iterdir()) == [".parquet", ".tmp"]
    assert (folder / "0001-000000000009-000000000009.tmp").exists()  # another partition's


def test_where_files_are_gone_the_way_to_the_next_is_taken_in_batches(
    log: Log, tmp_path: Path
) -> None:
    """The window was lost, and old files had been removed."""
    folder = tmp_path / "examples"
    with closing(Window(tmp_path / "w.db")) as window:
        fill(log, 12)
        run(worker(log, window, folder), limit=3)
    batches = examples.batches(folder)
    for batch in batches[:3]:
        batch.path.unlink()
    with closing(Window(tmp_path / "new.db")) as window:
        works = worker(log, window, folder)
        assert [works.step(4) for _ in range(4)] == [8, 8, 2, 6]
        assert works.step(4) == 0
    rows = [row.completion_id for b in examples.batches(folder) for row in examples.rows(b)]
    assert sorted(rows) == sorted(f"c{n}" for n in range(12))
