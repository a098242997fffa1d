import logging

import pytest

from feedback.events import DeadLetter, decode
from feedback.log import read_all
from ops import history
from ops.act import first_split
from serving.split import SPLIT_KEY
from tests.ops.made import Place


def test_what_cannot_be_read_is_put_aside_and_told_once(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.log.append("split", SPLIT_KEY, b'{"kind": "split", "v": 2}')
    place.log.append("rollouts", "m-v1", b"not JSON")
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            assert history.splits(place.log, bad=history.put_aside_once) == []
            assert history.moves(place.log, bad=history.put_aside_once) == []
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
    assert history.splits(place.log, bad=history.put_aside_once) == []
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
