from math import isnan

import pytest

from ops.served import Lengths, Waits


def test_percentiles_are_told_to_five_parts_in_a_hundred() -> None:
    waits = Waits()
    for milliseconds in range(1, 1001):
        waits.add(milliseconds / 1000)
    assert waits.percentile(0.95) == pytest.approx(0.95, rel=0.05)
    assert waits.percentile(0.5) == pytest.approx(0.5, rel=0.05)
    assert waits.over(0.9) == pytest.approx(100, abs=45)
    assert waits.over(10.0) == 0


def test_nothing_took_no_time_that_could_be_told() -> None:
    assert isnan(Waits().percentile(0.95))


def test_what_took_no_time_at_all_took_the_shortest() -> None:
    waits = Waits()
    waits.add(0.0)
    assert waits.percentile(0.95) == 0.001


def test_one_long_answer_is_not_a_longer_arm() -> None:
    short, long = Lengths(), Lengths()
    for tokens in (99, 99, 99, 99):
        short.add(tokens)
    for tokens in (99, 99, 99, 9999):
        long.add(tokens)
    assert (long.total - short.total) / 4 == pytest.approx(1.151, abs=0.001)  # log 100 / 4
    assert short.squares == pytest.approx(short.total**2 / 4)
