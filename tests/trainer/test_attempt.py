import logging
import os
import time
from pathlib import Path

import pytest

from tests.trainer.tiny import PLAN, example, settle
from trainer.attempt import attempt
from trainer.record import Record
from trainer.run import Places
from trainer.settings import Settings


class WaitsUntilItIsTold(logging.Handler):
    """A step begins when the round's own file is there."""

    def __init__(self, state: Path) -> None:
        super().__init__()
        self._state = state

    def emit(self, record: logging.LogRecord) -> None:
        ends = time.monotonic() + 10
        while record.msg == "%s: begins" and not list(self._state.glob("round-*.json")):
            assert time.monotonic() < ends, "not told within 10 s"
            time.sleep(0.01)


def test_a_round_is_under_way_until_it_is_counted(
    places: Places, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Record(places.state).begin()
    settle(places.examples, [example(n, user="ann") for n in range(96)], start=0, end=96)
    told, replace = [], os.replace

    def look(draft: Path, path: Path) -> None:
        if path.name == "rounds.json":
            told.append(len(list(places.state.glob("round-*.json"))))
        replace(draft, path)

    monkeypatch.setattr(os, "replace", look)
    caplog.set_level(logging.INFO, "trainer")
    waits = WaitsUntilItIsTold(places.state)
    logging.getLogger("trainer").addHandler(waits)
    try:
        ended = attempt("base", settings(places), PLAN)
    finally:
        logging.getLogger("trainer").removeHandler(waits)
    assert (ended.outcome, told) == ("too_few", [1])
    assert ended == Record(places.state).seen().past.last
    assert ended.began_at < ended.ended_at
    assert not list(places.state.glob("round-*"))


def settings(places: Places) -> Settings:
    return Settings(
        model=places.base,
        name=places.series,
        examples=places.examples,
        adapters=places.adapters,
        trainer_state=places.state,
    )
