"""What is recommended, as one table."""

import re

import pytest

from trainer.methods import KINDS
from trainer.recommend import advise
from trainer.waiting import Seen

ONE = ("base",)


def thumbs(ups: int, downs: int, prompts: int = 1000) -> list[Seen]:
    """Each to a prompt of its own, as far as there are so many: no two are opposite."""
    sides = [True] * ups + [False] * downs
    return [Seen(ONE, at % prompts, up) for at, up in enumerate(sides)]


def compared(count: int) -> list[Seen]:
    return [Seen(ONE, 10_000 + at, None) for at in range(count)]


@pytest.mark.parametrize(
    ("said", "method", "why"),
    [
        ([], None, "0 thumbs and 0 pairs; expected at least 64 of either"),
        (thumbs(40, 10), None, "50 thumbs and 0 pairs; expected at least 64 of either"),
        (thumbs(60, 20), "kto", r"80 thumbs, and only 0 pairs; .* 80 verdicts \(expected 200\)"),
        (thumbs(159, 40), "kto", r"online method: 199 verdicts \(expected 200\)$"),
        (thumbs(160, 40), "rloo", "200 verdicts can teach a reward model"),
        (thumbs(161, 39), "kto", r"39 of the scarcer thumb and comparisons \(expected 40\)"),
        (thumbs(160, 40, prompts=31), "kto", r"31 different prompts \(expected 32\)"),
        (thumbs(160, 40, prompts=32), "rloo", "200 verdicts can teach a reward model"),
        (thumbs(100, 100, prompts=20), "dpo", r"20 different prompts \(expected 32\)"),
        (compared(70), "dpo", r"70 pairs, beside 0 thumbs; .* 70 verdicts \(expected 200\)"),
        ([*thumbs(140, 0), *compared(60)], "rloo", "200 verdicts can teach a reward model"),
    ],
)
def test_what_is_recommended_and_why(said: list[Seen], method: str | None, why: str) -> None:
    found = advise(said, 64, 0)
    assert found.method == method
    assert re.search(why, found.why), found.why


def test_what_will_be_held_out_teaches_nothing() -> None:
    said = [one._replace(held=at % 5 == 0) for at, one in enumerate(thumbs(50, 30))]
    found = advise(said, 64, 0)
    told = {feed.method: (feed.lessons, feed.held) for feed in found.feeds}
    assert (told["kto"], told["sft"], found.method) == ((64, 16), (40, 16), "kto")
    assert advise(said, 65, 0).why == "64 thumbs and 0 pairs; expected at least 65 of either"


def held(said: list[Seen]) -> list[Seen]:
    return [one._replace(held=True) for one in said]


@pytest.mark.parametrize(
    ("tests", "method", "why"),
    [
        (thumbs(4, 0), None, r"but 4 ups and 0 downs held out; expected 3 of each \(min_holdout\)"),
        ([], None, r"but 0 ups and 0 downs held out; expected 3 of each \(min_holdout\)"),
        (thumbs(3, 3), "rloo", "270 verdicts can teach"),
        (compared(3), "rloo", "270 verdicts can teach"),
        (compared(2), None, "but 0 ups and 0 downs held out"),
    ],
)
def test_what_could_not_be_tested_is_not_recommended(
    tests: list[Seen], method: str | None, why: str
) -> None:
    """A round of it would end before it begins."""
    found = advise([*thumbs(180, 40), *compared(50), *held(tests)], 64, 3)
    assert found.method == method
    assert re.search(why, found.why), found.why
    lacks = {feed.method: feed.lacks for feed in found.feeds}
    assert (lacks["rloo"] is None) is (method == "rloo")


def test_pairs_are_recommended_where_thumbs_could_not_be_tested() -> None:
    found = advise([*thumbs(90, 40), *compared(64), *held(compared(3))], 64, 3)
    assert (found.method, found.feeds[0].lacks) == ("dpo", UNTESTED)


UNTESTED = "0 ups and 0 downs held out; expected 3 of each (min_holdout)"


def test_every_method_is_told_with_what_it_could_learn_from() -> None:
    found = advise([*thumbs(3, 2), *compared(4)], 5, 0)
    assert [feed.method for feed in found.feeds] == [*KINDS]
    told = {feed.method: (feed.lessons, feed.of) for feed in found.feeds}
    assert told["kto"] == (5, "thumbs")
    assert told["sft"] == (3, "liked answers")
    assert told["dpo"] == (4, "pairs")
    assert told["ppo"] == (9, "verdicts on 9 prompts")
