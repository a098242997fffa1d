import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from feedback.events import DeadLetter, decode, encode
from feedback.log import Log, LogAway, Record, read_all
from ops import history
from ops.act import change_split, first_split
from ops.move import Decided, Look, Move
from serving.split import SPLIT_KEY, Split
from tests.feedback.fuzz import bad_records
from tests.ops.made import Place


def test_what_cannot_be_read_is_put_aside_and_told_once(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.log.append("split", SPLIT_KEY, b'{"kind": "split", "v": 2}')
    place.log.append("rollouts", "m-v1", b"not JSON")
    with caplog.at_level(logging.ERROR):
        for aside in [history.PutAside(place.log)] * 2 + [history.PutAside(place.log)]:
            past = history.Past(place.log, bad=aside)
            assert (past.splits(), past.moves()) == ([], [])
    letters = [decode(r.value, (DeadLetter,)) for r in read_all(place.log, "deadletter")]
    assert [(letter.topic, letter.offset, letter.key) for letter in letters] == [
        ("split", 0, SPLIT_KEY),
        ("rollouts", 0, "m-v1"),
    ]
    assert "v is 2" in letters[0].reason
    assert caplog.text.count("cannot be read") == 2


def test_a_dead_letter_that_cannot_be_read_stops_nothing(place: Place) -> None:
    place.log.append("deadletter", "x", b"not JSON")
    place.log.append("split", SPLIT_KEY, b"nor this")
    assert history.Past(place.log, bad=history.PutAside(place.log)).splits() == []
    assert len(list(read_all(place.log, "deadletter"))) == 2


def test_only_looking_writes_nothing(place: Place) -> None:
    place.log.append("split", SPLIT_KEY, b"not JSON")
    assert history.splits(place.log) == []
    assert place.log.end("deadletter") == {0: 0}


def test_a_move_that_two_recorded_counts_once(place: Place) -> None:
    split = first_split(place.log)
    before = len(history.moves(place.log))
    for by in ("the one who moved", "the tick that saw it"):
        history.record(place.log, "paused", "base", split.model_copy(update={"revision": 2}), by)
    history.record(place.log, "refused", "m-v1", split, "cannot be loaded")
    history.record(place.log, "refused", "m-v2", split, "cannot be loaded")
    assert len(history.moves(place.log)) == before + 3


class Watched:
    """A log whose oldest records are gone, and how many records were read from it."""

    def __init__(self, log: Log, first: int = 0) -> None:
        self._log, self._first, self.read_ones = log, first, 0

    def read(self, topic: str, partition: int, start: int, limit: int = 1000) -> list[Record]:
        found = self._log.read(topic, partition, max(start, self._first), limit)
        self.read_ones += len(found)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)


def test_what_was_read_once_is_not_read_again(place: Place) -> None:
    log: Any = Watched(place.log)
    past = history.Past(log)
    first = first_split(place.log)
    assert past.splits() == [first]
    change_split(place.log, first, "so", "ann", pinned=True)
    before = log.read_ones
    assert [one.revision for one in past.splits()] == [1, 2]
    assert log.read_ones == before + 1
    past.splits().clear()  # what it gave is the reader's own
    assert past.splits() == history.splits(place.log)


def test_what_could_not_be_put_aside_is_met_again(place: Place) -> None:
    found = list[str]()

    def away(topic: str, _: object) -> None:
        found.append(topic)
        if len(found) == 1:
            raise LogAway("no broker answers")

    place.log.append("split", SPLIT_KEY, b"not JSON")
    past = history.Past(place.log, bad=away)
    with pytest.raises(LogAway):
        past.splits()
    assert (past.splits(), past.splits(), found) == ([], [], ["split", "split"])


def test_looks_are_told_once_each_however_many_are_gone(place: Place) -> None:
    looks = [look("m-v1", "start" if number == 40 else "hold", number) for number in range(2500)]
    place.log.append_all([("decisions", "m-v1", encode(one)) for one in looks])
    log: Any = Watched(place.log, first=1800)
    told = [one.seen["number"] for one in history.looks(log, "m-v1", 10_000)]
    assert told == [*range(1800, 2500)]
    assert log.read_ones < 1500
    assert history.since(log, "m-v1") == {}
    told = [one.seen["number"] for one in history.looks(place.log, "m-v1", 10_000)]
    assert told == [*range(40, 2500)]  # from its start on
    assert history.since(place.log, "m-v1") == {"completions/0": 7}


def look(adapter: str, decision: Decided, number: int) -> Look:
    return Look(
        at=datetime.now(UTC),
        decision=decision,
        adapter=adapter,
        split_revision=2,
        reason="so",
        by="ops",
        seen={"number": number},
        since={"completions/0": 7} if decision == "start" else {},
    )


@pytest.mark.integration
@pytest.mark.parametrize("topic", ["split", "rollouts"])
def test_ten_thousand_bad_records_are_each_put_aside_once(place: Place, topic: str) -> None:
    sound = encode(first_split(place.log))
    if topic == "rollouts":
        history.record(place.log, "paused", "base", history.splits(place.log)[0], "so")
        (sound,) = [record.value for record in place.log.read(topic, 0, 0)]
    kinds = (Move,) if topic == "rollouts" else (Split,)
    bad = bad_records([sound], kinds, seed=topic)
    start = place.log.end(topic)[0]
    place.log.append_all([(topic, "k", raw) for raw in bad])
    aside = history.PutAside(place.log)
    for _ in range(2):
        past = history.Past(place.log, bad=aside)
        assert len(past.splits()) == 1
        past.moves()
    letters = [decode(r.value, (DeadLetter,)) for r in read_all(place.log, "deadletter")]
    assert [one.offset for one in letters] == [start + n for n in range(len(bad))]
    assert all(one.topic == topic and one.reason for one in letters)
