import logging

import pytest

from feedback.events import DeadLetter, decode, encode
from feedback.log import read_all
from ops import history
from ops.act import first_split
from ops.move import Move
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
            assert history.splits(place.log, bad=aside) == []
            assert history.moves(place.log, bad=aside) == []
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
    assert history.splits(place.log, bad=history.PutAside(place.log)) == []
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
        assert len(history.splits(place.log, bad=aside)) == 1
        history.moves(place.log, bad=aside)
    letters = [decode(r.value, (DeadLetter,)) for r in read_all(place.log, "deadletter")]
    assert [one.offset for one in letters] == [start + n for n in range(len(bad))]
    assert all(one.topic == topic and one.reason for one in letters)
