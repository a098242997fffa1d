from math import exp, inf, isnan

import pytest

from ops.served import Waits, length_of


def waits_of(*seconds: float) -> Waits:
    waits = Waits()
    for one in seconds:
        waits.add(one)
    return waits


def test_percentiles_are_told_to_five_parts_in_a_hundred() -> None:
    waits = waits_of(*(milliseconds / 1000 for milliseconds in range(1, 1001)))
    assert waits.percentile(0.95) == pytest.approx(0.95, rel=0.05)
    assert waits.percentile(0.5) == pytest.approx(0.5, rel=0.05)


def test_nothing_took_no_time_that_could_be_told() -> None:
    assert isnan(Waits().percentile(0.95))


def test_what_took_no_time_at_all_took_the_shortest() -> None:
    assert waits_of(0.0).percentile(0.95) == 0.001


def test_of_few_nothing_is_usual_and_of_many_it_follows() -> None:
    waits = waits_of(*[1.0] * 19)
    assert waits.usual == inf
    waits.add(1.0)
    assert waits.usual == pytest.approx(1.0, rel=0.05)
    for _ in range(100):
        waits.add(5.0)
    assert waits.usual == pytest.approx(5.0, rel=0.05)


def test_one_long_answer_is_not_a_longer_arm() -> None:
    usual, long = [99] * 4, [99, 99, 99, 9999]
    longer = (sum(map(length_of, long)) - sum(map(length_of, usual))) / 4
    assert exp(longer) == pytest.approx(100**0.25)
