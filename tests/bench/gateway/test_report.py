"""The table says what was found."""

from tests.bench.gateway.measures import Behind, Row
from tests.bench.gateway.report import table

END, PACE = Row("its end, p50", "ms", added=True), Row("answered", "a second")
ENGINE = [{END: 1.0, PACE: 5_000.0}, {END: 3.0, PACE: 6_000.0}, {END: 2.0, PACE: 7_000.0}]


def _lines(*found: dict[Row, float]) -> list[str]:
    return list(table({"engine": ENGINE, "proxy": found}))[2:]


def test_a_latency_is_told_over_the_engines_of_the_same_round_and_a_pace_as_it_is() -> None:
    end, pace = _lines({END: 5.0, PACE: 90.0}, {END: 4.0, PACE: 80.0}, {END: 8.0, PACE: 100.0})
    assert end == "| its end, p50, ms | 2.00 (1.00 to 3.00) | +4.00 (1.00 to 6.00) |"
    assert pace == "| answered, a second | 6,000 (5,000 to 7,000) | 90.0 (80.0 to 100) |"


def test_what_was_tried_once_has_no_spread_and_who_fell_behind_no_latency() -> None:
    end, pace = _lines({END: Behind(40.0), PACE: 7.0}, {}, {})
    assert end.endswith("| falls behind: 40 a second |")
    assert pace.endswith("| 7.00 |")
