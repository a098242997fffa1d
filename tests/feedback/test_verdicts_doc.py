"""docs/verdicts.md: each row of its table is shown by the test that it names; here are some."""

import re
from collections import Counter
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from feedback import examples
from feedback.events import encode
from feedback.log import open_log
from feedback.metrics import PREFIX, Metrics
from feedback.settings import Settings
from feedback.window import GRACE, Window
from tests.feedback.made import comparison, completion, retraction, settled, thumb, worker

TESTS = Path(__file__).parents[1]
DOC = (TESTS.parent / "docs/verdicts.md").read_text()
DEFINED = re.compile(r"^\s*(?:async )?def (\w+)", re.MULTILINE)
TABLE = DOC.split("| when | then | test |\n|---|---|---|\n")[1].split("\n\n")[0].splitlines()


@cache
def names() -> Counter[str]:
    """Of all tests, and how many have each."""
    code = [path.read_text() for path in TESTS.rglob("test_*.py")]
    return Counter(name for text in code for name in DEFINED.findall(text))


@pytest.mark.parametrize("row", TABLE)
def test_every_row_names_one_test_that_there_is(row: str) -> None:
    when, then, test = (cell.strip() for cell in row.strip("|").split("|"))
    found = re.fullmatch(r"`(test_\w+)`", test)
    assert when and then and found
    assert names()[found[1]] == 1


def test_the_days_and_the_metrics_are_those_of_the_code() -> None:
    days = Settings.model_fields["feedback_window_days"].default
    assert f"`feedback_window_days` ({days:g} days)" in DOC
    assert GRACE.days == 1
    counted = {f"{metric.describe()[0].name}_total" for metric in _counters()}
    assert set(re.findall(rf"{PREFIX}_\w+", DOC)) <= counted


def _counters() -> list[Any]:
    return [one for one in vars(Metrics()).values() if hasattr(one, "_labelnames")]


def test_of_two_verdicts_with_one_key_the_earlier_counts() -> None:
    (row,) = settled(completion(), thumb(False, 2, key="k"), thumb(True, 1, key="k"))
    assert row.up is True


def test_a_key_is_of_one_completion() -> None:
    both = completion("g"), completion("g.1")
    assert len(settled(*both, thumb(True, of="g", key="k"), thumb(True, of="g.1", key="k"))) == 2


def test_a_key_that_two_people_share_counts_once() -> None:
    said = thumb(True, 1, key="k", user="ann"), thumb(False, 2, key="k", user="bob")
    (row,) = settled(completion(), *said)
    assert (row.rater, row.up) == ("ann", True)


def test_a_retraction_under_the_key_of_the_click_takes_nothing_back() -> None:
    back = retraction(2).model_copy(update={"key": "k"})
    (row,) = settled(completion(), thumb(True, 1, key="k"), back)
    assert (row.up, row.retracted) == (True, False)


def test_a_comparison_is_of_its_a() -> None:
    both = completion("g"), completion("g.1")
    found = settled(*both, comparison("g", "g.1", "a", 1), comparison("g.1", "g", "a", 2))
    assert {(row.completion_id, row.rival_id) for row in found} == {("g", "g.1"), ("g.1", "g")}


def test_where_the_window_has_no_room_old_answers_can_no_longer_be_judged(tmp_path: Path) -> None:
    room = 3 * len(encode(completion()))
    with (
        closing(open_log(f"sqlite:///{tmp_path}/log.db")) as log,
        closing(Window(tmp_path / "window.db", max_bytes=room)) as window,
    ):
        works = worker(log, window, tmp_path / "examples")

        def say(second: int, of: str, up: bool) -> None:
            log.append("verdicts", of, encode(thumb(up, second, of=of)))
            works.step()

        log.append("completions", "c1", encode(completion("c1")))
        say(1, "c1", True)
        for number in range(2, 9):
            log.append("completions", f"c{number}", encode(completion(f"c{number}")))
            works.step()
        say(2, "c1", False)
        say(3, "c2", True)
        say(4, "c8", True)
    found = examples.read(tmp_path / "examples").examples
    assert {row.completion_id: row.up for row in found} == {"c1": True, "c8": True}
