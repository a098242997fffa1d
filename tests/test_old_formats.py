"""What each version of a format has left behind is read by this one.

tests/formats/vN was written by the version that made N, and is never written again.
"""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from feedback import examples
from feedback.events import Completion, Thumb, decode
from feedback.log import open_log, read_all
from feedback.spool import Spool
from feedback.window import Window
from ops import by_hand, history
from ops.trial import Fates
from tests.feedback.made import worker
from tests.test_formats import READERS
from trainer.adapters import published, read_lineage, verify

KEPT = sorted((Path(__file__).parent / "formats").iterdir())
EVENTS = [path for version in KEPT for path in sorted((version / "events").iterdir())]


@pytest.fixture(params=KEPT, ids=lambda path: path.name)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    yield Path(shutil.copytree(request.param, tmp_path / "home"))


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_every_kind_of_event_is_read(path: Path) -> None:
    assert READERS[path.stem](path.read_bytes())


def test_every_kind_there_is_was_kept() -> None:
    assert {path.stem for path in EVENTS} == {*READERS}


def test_a_log_is_read_and_goes_on(home: Path) -> None:
    with closing(open_log(f"sqlite:///{home}/log.db")) as log:
        served = [decode(one.value, (Completion,)) for one in read_all(log, "completions")]
        assert len(served) == 9
        assert [split.stable for split in history.splits(log)][-1] == "model-v1"
        assert [move.action for move in history.moves(log)] == [
            *("started", "promoted", "started", "rolled_back")
        ]
        fates = Fates(history.splits(log), history.moves(log))
        told = {one.name: fates.of(one) for one in published(home / "adapters")}
        assert told == {"model-v1": "stable", "model-v2": "withdrawn"}
        by_hand.resume(log, "ann")
        assert by_hand.current(log).pinned is False


def test_adapters_are_whole(home: Path) -> None:
    for name in ("model-v1", "model-v2"):
        assert verify(home / "adapters", name).passed
        assert len(read_lineage(home / "adapters", name)) == 1


def test_examples_and_the_window_go_on_where_they_were(home: Path) -> None:
    folder = home / "examples"
    (first,) = examples.batches(folder)
    assert sorted(bool(row.up) for row in examples.rows(first)) == [False] * 2 + [True] * 6
    window = Window(home / "window.db")
    with closing(open_log(f"sqlite:///{home}/log.db")) as log, closing(window):
        spool = Spool(home / "spool", log)  # a verdict that was accepted, and is not on the log yet
        spool.close()
        said = [decode(one.value, (Thumb,)).key for one in read_all(log, "verdicts")]
        assert said[-1] == "spooled"
        works = worker(log, window, folder)
        while works.step():
            pass
    *_, last = examples.batches(folder)
    assert [(row.completion_id, row.rater) for row in examples.rows(last)] == [("c1", "eve")]
