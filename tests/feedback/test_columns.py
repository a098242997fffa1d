"""Columns hold what Arrow itself would make of the same values."""

from array import array
from typing import Any

import pyarrow as pa
import pytest

from feedback.columns import NUMBERS, as_column

INTS, FLOATS = NUMBERS["i"], NUMBERS["d"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([[1, 2], [], None, [2**31 - 1]], INTS),
        ([None, None], INTS),
        ([[]], INTS),
        ([], INTS),
        ([[-0.5, 1e300], None, [0.0]], FLOATS),
        (["a", None], pa.string()),
        ([1, None], pa.int64()),
    ],
)
def test_a_column_is_what_arrow_makes_of_the_values(values: list[Any], kind: pa.DataType) -> None:
    made = as_column(values, kind)
    made.validate(full=True)
    assert made.type == kind
    assert made.equals(pa.array(values, kind))


def test_numbers_in_one_piece_are_taken_as_they_are() -> None:
    assert as_column([array("i", [1, 2]), [3]], INTS).to_pylist() == [[1, 2], [3]]


def test_a_number_that_has_no_room_is_refused() -> None:
    with pytest.raises(OverflowError):
        as_column([[2**31]], INTS)
