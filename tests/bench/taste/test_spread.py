"""The interval is Student's, and the table says what was found."""

import pytest

from tests.bench.taste.spread import half_width, lines


def test_the_interval_is_students() -> None:
    # By hand: the standard deviation is sqrt(2.5), t of four degrees of freedom 2.776.
    assert half_width([1, 2, 3, 4, 5]) == pytest.approx(2.776 * 2.5**0.5 / 5**0.5)
    assert half_width([1.0, 3.0]) == pytest.approx(12.706)
    assert half_width([0.5]) is None


def test_more_seeds_than_the_table_has_are_refused() -> None:
    with pytest.raises(ValueError, match="11 seeds; expected at most 10"):
        half_width([0.0] * 11)


def test_shares_are_told_in_percent_and_nats_as_they_are() -> None:
    found = {"round 1": {"liked": [0.5, 0.6], "KL to base, nats": [1.0, 1.5]}}
    assert list(lines(found, [3, 4])) == [
        "| | figure | mean, 95% interval | seed 3 | seed 4 |",
        "|---|---|---|---|---|",
        "| round 1 | liked | 55.0% ± 63.5% | 50.0% | 60.0% |",
        "|  | KL to base, nats | 1.25 ± 3.18 | 1.00 | 1.50 |",
    ]
