import logging

import pytest

from feedback.events import DeadLetter, decode
from feedback.log import read_all
from ops import history
from serving.split import SPLIT_KEY
from tests.ops.made import Place


def test_what_cannot_be_read_is_put_aside_and_told_once(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.log.append("split", SPLIT_KEY, b'{"kind": "split", "v": 2}')
    place.log.append("rollouts", "m-v1", b"not JSON")
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            assert history.splits(place.log) == []
            assert history.moves(place.log) == []
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
    assert history.splits(place.log) == []
    assert len(list(read_all(place.log, "deadletter"))) == 2
