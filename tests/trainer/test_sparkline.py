import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.sparkline import BLOCKS, PLAIN, sparkline


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([3.0], "▁"),
        ([2.0, 2.0, 2.0], "▁▁▁"),
        ([0.0, 7.0], "▁█"),
        ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], BLOCKS),
        ([7.0, 0.0, 7.0, 7.0], "█▁██"),
    ],
)
def test_a_curve_goes_from_its_least_to_its_greatest(values: list[float], line: str) -> None:
    assert sparkline(values, 8) == line


def test_more_values_than_fit_are_averaged() -> None:
    assert sparkline([0, 2, 6, 8, 1, 1], 3, "abc") == "aca"  # of 1, 7 and 1


@given(st.lists(st.floats(-1e9, 1e9)), st.integers(1, 40))
def test_it_is_never_wider_than_told(values: list[float], width: int) -> None:
    line = sparkline(values, width, PLAIN)
    assert len(line) == min(len(values), width)
    assert set(line) <= set(PLAIN)
