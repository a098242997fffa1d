from pathlib import Path

from feedback.events import BASE
from tests.trainer.tiny import example, settle
from trainer.reserved import held_out
from trainer.tally import Tally


def test_thumbs_are_counted_by_adapter_beyond_a_watermark(tmp_path: Path) -> None:
    tally = Tally(tmp_path, "kto", 0)
    assert tally.lessons(BASE, {}) == 0
    settle(tmp_path, [example(0), example(1), example(2, adapter="tiny-v1")], start=0, end=3)
    assert tally.lessons(BASE, {}) == 2
    settle(tmp_path, [example(3)], start=3, end=4)
    assert tally.lessons(BASE, {}) == 3
    assert tally.lessons(BASE, {"completions/0": 3, "verdicts/0": 3}) == 1
    assert tally.lessons("tiny-v1", {}) == 1
    assert tally.lessons(BASE, {}) == 3


def test_only_thumbs_that_count_are_counted(tmp_path: Path) -> None:
    rows = [
        example(0, weight=0.0),
        example(1, retracted=True),
        example(2, slot="correction"),
        example(3),
    ]
    settle(tmp_path, rows, start=0, end=4)
    assert Tally(tmp_path, "kto", 0).lessons(BASE, {}) == 1


def test_a_file_is_opened_once(tmp_path: Path) -> None:
    settle(tmp_path, [example(0)], start=0, end=1)
    tally = Tally(tmp_path, "kto", 0)
    tally.lessons(BASE, {})
    next(tmp_path.glob("*.parquet")).write_bytes(b"")
    assert tally.lessons(BASE, {}) == 1


def test_what_will_be_held_out_starts_no_round(tmp_path: Path) -> None:
    users = [f"user{n}" for n in range(100)]
    rows = [example(n, user=user, rater=user) for n, user in enumerate(users)]
    settle(tmp_path, rows, start=0, end=100)
    to_learn_from = [user for user in users if not held_out(user, 10)]
    assert Tally(tmp_path, "kto", 10).lessons(BASE, {}) == len(to_learn_from) < 100
