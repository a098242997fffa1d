"""Ten thousand bad records on each topic that a worker reads: all put aside, none stops it."""

from base64 import b64decode
from contextlib import closing
from pathlib import Path

import pytest

from feedback import examples
from feedback.events import (
    VERDICT_KINDS,
    Completion,
    DeadLetter,
    Event,
    Forget,
    decode,
    encode,
)
from feedback.log import MAX_RECORD_BYTES, Log, open_log, read_all
from feedback.window import Window
from tests.feedback.fuzz import RECORDS, bad_records
from tests.feedback.made import at, comparison, completion, outcome, ruling, thumb, worker

READ: dict[str, tuple[type[Event], ...]] = {
    "completions": (Completion,),
    "verdicts": VERDICT_KINDS,
    "forgets": (Forget,),
}
SOUND: dict[str, list[Event]] = {
    "completions": [completion()],
    "verdicts": [thumb(True), comparison("g", "g.1"), outcome("x", 1.0), ruling(0.0)],
    "forgets": [Forget(at=at(0), user="nobody", by="eve")],
}


def letters(log: Log) -> list[DeadLetter]:
    return [decode(record.value, (DeadLetter,)) for record in read_all(log, "deadletter")]


@pytest.mark.integration
@pytest.mark.parametrize("topic", READ)
def test_each_is_put_aside_with_its_reason_and_position(topic: str, tmp_path: Path) -> None:
    bad = bad_records([encode(event) for event in SOUND[topic]], READ[topic], seed=topic)
    with (
        closing(open_log(f"sqlite:///{tmp_path}/log.db")) as log,
        closing(Window(tmp_path / "window.db")) as window,
    ):
        log.append_all([(topic, "k", raw) for raw in bad])
        log.append("completions", "c9", encode(completion("c9")))
        log.append("verdicts", "c9", encode(thumb(True, of="c9")))
        works = worker(log, window, tmp_path / "examples")
        while works.step():
            pass
        found = letters(log)
    assert [(one.topic, one.partition, one.offset) for one in found] == [
        (topic, 0, offset) for offset in range(RECORDS)
    ]
    assert [b64decode(one.raw) for one in found] == bad
    assert all(one.reason for one in found)
    assert [r.completion_id for r in examples.read(tmp_path / "examples").examples] == ["c9"]


def test_a_record_as_large_as_the_log_takes_can_be_put_aside(tmp_path: Path) -> None:
    with (
        closing(open_log(f"sqlite:///{tmp_path}/log.db")) as log,
        closing(Window(tmp_path / "window.db")) as window,
    ):
        log.append("verdicts", "k", b"x" * MAX_RECORD_BYTES)
        worker(log, window, tmp_path / "examples").step()
        (letter,) = letters(log)
    assert "raw is its first 4,000,000 bytes of 8,000,000; not JSON" in letter.reason
    assert len(b64decode(letter.raw)) == 4_000_000


@pytest.mark.parametrize(
    ("key", "raw"),
    [
        ("k", b'{"kind":"%b","v":1}' % (b"x" * 4_000_000)),
        ("k", encode(thumb(True))[:-1] + b',"%b":1}' % (b"x" * 4_000_000)),
        ("k" * 5_000_000, b"not JSON"),
    ],
    ids=["kind", "field", "key"],
)
def test_nothing_that_is_too_long_keeps_a_letter_from_the_log(
    key: str, raw: bytes, tmp_path: Path
) -> None:
    with (
        closing(open_log(f"sqlite:///{tmp_path}/log.db")) as log,
        closing(Window(tmp_path / "window.db")) as window,
    ):
        log.append("verdicts", key, raw)
        worker(log, window, tmp_path / "examples").step()
        (letter,) = letters(log)
    assert letter.offset == 0
    assert letter.reason
