from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from feedback.events import BASE, encode
from feedback.log import SPLIT, Log, open_log
from serving.split import SPLIT_KEY, Split
from tests.trainer.test_adapters import manifest
from tests.trainer.tiny import example, settle
from trainer.adapters import GateResult, claim_name, publish
from trainer.due import Rules
from trainer.loop import Loop, Start
from trainer.newest import Newest
from trainer.parent import SplitReader
from trainer.tally import Tally

DAY = manifest("tiny-v1").created_at
RULES = Rules(min_examples=4, min_rows=2, interval_seconds=60)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with closing(open_log(f"sqlite:///{tmp_path}/log.db")) as opened:
        yield opened


@pytest.fixture
def loop(log: Log, tmp_path: Path) -> Loop:
    newest = Newest(tmp_path / "store", "tiny")
    return Loop(
        RULES, SplitReader(log, "tiny"), Tally(tmp_path / "examples", "kto", 0), newest, began=DAY
    )


def thumbs(folder: Path, start: int, end: int, adapter: str = BASE) -> None:
    made = [example(number, adapter=adapter) for number in range(start, end)]
    settle(folder / "examples", made, start=start, end=end)


def published(folder: Path, name: str, reach: int) -> None:
    watermark = dict.fromkeys(("completions/0", "verdicts/0"), reach)
    passed = GateResult(name="end", passed=True, reason="as before")
    made = manifest(name, passed).model_copy(update={"watermark": watermark})
    publish(claim_name(folder / "store", name), made)


def serve(log: Log, revision: int, stable: str, canary: str | None = None) -> None:
    split = Split(at=DAY, revision=revision, stable=stable, canary=canary, reason="a test", by="me")
    log.append(SPLIT.name, SPLIT_KEY, encode(split))


def test_enough_thumbs_on_the_base_start_the_first_round(loop: Loop, tmp_path: Path) -> None:
    thumbs(tmp_path, 0, 3)
    assert loop.look(DAY) is None
    assert loop.waiting == 3
    thumbs(tmp_path, 3, 4)
    assert loop.look(DAY) == Start(BASE, "4 new thumbs")


def test_a_published_adapter_has_used_up_its_thumbs(loop: Loop, log: Log, tmp_path: Path) -> None:
    thumbs(tmp_path, 0, 4)
    published(tmp_path, "tiny-v1", reach=4)
    serve(log, 1, BASE, canary="tiny-v1")
    serve(log, 2, BASE)
    assert loop.look(DAY) is None
    # The base still serves: v1 was withdrawn. Its data alone does not start another round.
    thumbs(tmp_path, 4, 8)
    assert loop.look(DAY) == Start(BASE, "4 new thumbs")


def test_only_thumbs_on_the_stable_adapters_answers_count(
    loop: Loop, log: Log, tmp_path: Path
) -> None:
    published(tmp_path, "tiny-v1", reach=0)
    serve(log, 1, "tiny-v1")
    thumbs(tmp_path, 0, 8)
    assert loop.look(DAY) is None
    thumbs(tmp_path, 8, 12, adapter="tiny-v1")
    start = loop.look(DAY)
    assert start == Start("tiny-v1", "4 new thumbs")


def test_no_round_starts_while_a_canary_is_on_trial(loop: Loop, log: Log, tmp_path: Path) -> None:
    thumbs(tmp_path, 0, 8)
    serve(log, 1, BASE, canary="tiny-v1")
    assert loop.look(DAY) is None
    serve(log, 2, BASE)
    assert loop.look(DAY) is not None


def test_a_new_adapter_gets_its_trial_before_the_next_round(
    loop: Loop, log: Log, tmp_path: Path
) -> None:
    published(tmp_path, "tiny-v1", reach=0)
    thumbs(tmp_path, 0, 4)
    assert loop.look(DAY) is None
    assert loop.look(DAY + timedelta(seconds=60)) is not None  # ops has refused it
    serve(log, 1, "tiny-v9")  # nobody will try it: its parent does not serve
    thumbs(tmp_path, 4, 8, adapter="tiny-v9")
    assert loop.look(DAY) is not None


def test_after_the_interval_fewer_are_enough(loop: Loop, tmp_path: Path) -> None:
    thumbs(tmp_path, 0, 2)
    assert loop.look(DAY + timedelta(seconds=59)) is None
    start = loop.look(DAY + timedelta(seconds=60))
    assert start == Start(BASE, "2 new thumbs after 60 s")


def test_what_a_round_made_nothing_of_starts_the_next_after_the_interval_or_with_more(
    loop: Loop, tmp_path: Path
) -> None:
    thumbs(tmp_path, 0, 4)
    assert loop.look(DAY) is not None
    loop.made_nothing(DAY + timedelta(seconds=5))
    assert loop.look(DAY + timedelta(seconds=64)) is None
    assert loop.look(DAY + timedelta(seconds=65)) is not None
    thumbs(tmp_path, 4, 5)
    assert loop.look(DAY + timedelta(seconds=64)) == Start(BASE, "5 new thumbs")


def test_once_an_adapter_has_used_them_as_many_others_start_a_round(
    loop: Loop, log: Log, tmp_path: Path
) -> None:
    thumbs(tmp_path, 0, 4)
    assert loop.look(DAY) is not None
    loop.made_nothing(DAY)
    published(tmp_path, "tiny-v1", reach=4)  # by hand
    serve(log, 1, BASE, canary="tiny-v1")
    serve(log, 2, BASE)
    assert loop.look(DAY) is None
    thumbs(tmp_path, 4, 8)
    assert loop.look(DAY) == Start(BASE, "4 new thumbs")


def test_adapters_of_another_series_do_not_matter(loop: Loop, tmp_path: Path) -> None:
    thumbs(tmp_path, 0, 4)
    published(tmp_path, "other-v7", reach=4)
    assert loop.look(DAY) is not None
