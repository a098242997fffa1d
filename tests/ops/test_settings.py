"""What operators may set, and what they are told where it is wrong.

The environment is what is tested here, so that is what is changed.
"""

import pytest
from pydantic import ValidationError

from ops.decide import Rules
from ops.guardrails import Limits
from ops.queries import Query
from ops.settings import Settings
from ops.weigh import THUMBS, Evidence


def test_the_rules_are_those_of_the_rules_unless_set_otherwise() -> None:
    assert Settings().rules == Rules()
    assert Settings().limits == Limits()


def test_each_limit_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "MAX_ERROR_RATE": "0.1",
        "MAX_REFUSAL_RATE": "0.2",
        "MAX_LATENCY_RATIO": "3",
        "MAX_LENGTH_RATIO": "4",
        "MAX_NOT_LOADED": "5",
        "MAX_KL_STABLE": "6",
        "MAX_KL_BASE": "none",
        "SCORE_MAX_SECONDS": "60",
    }.items():
        monkeypatch.setenv(f"THUMBWHEEL_OPS_{name}", value)
    assert Settings().limits == Limits(0.1, 0.2, 3.0, 4.0, 5, 6.0, None, 60.0)


def test_evidence_is_named_with_commas_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THUMBWHEEL_OPS_EVIDENCE", "outcome:resolved, thumbs,-outcome:seconds")
    less = Evidence("outcome:seconds", less_is_better=True)
    assert Settings().rules.evidence == (Evidence("outcome:resolved"), THUMBS, less)


def test_queries_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THUMBWHEEL_OPS_PROMETHEUS_URL", "http://prometheus:9090")
    told = '[{"name": "p99", "promql": "x", "most": 2}]'
    monkeypatch.setenv("THUMBWHEEL_OPS_QUERIES", told)
    assert Settings().ops_queries == (Query(name="p99", promql="x", most=2.0),)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        (
            "EVIDENCE",
            "thumb",
            "expected thumbs, comparisons, outcome:NAME or -outcome:NAME",
        ),
        ("EVIDENCE", "-thumbs", "expected a minus before outcome:NAME only"),
        ("EVIDENCE", "outcome:", "expected thumbs, comparisons, outcome:NAME or -outcome:NAME"),
        ("EVIDENCE", "thumbs,thumbs", "expected one kind or several, each once"),
        ("GOAL", "worse", "'better' or 'no_worse'"),
        ("REFUSALS", "(", "is no regular expression"),
        ("QUERIES", '[{"name": "p99", "promql": "x", "most": 2}]', "expected ops_prometheus_url"),
        ("MAX_KL_BASE", "-1", "greater than 0"),
        ("MAX_LATENCY_RATIO", "1", "greater than 1"),
        ("TICK_SECONDS", "6", "ops_lease_seconds is 15; expected three times ops_tick_seconds"),
        ("PROMETHEUS_URL", "prom:9090", "'http' or 'https'"),
        ("LEASE_SECONDS", "0", "greater than or equal to 1"),
        ("STEPS_PERCENT", "5,1", "expected shares that grow"),
    ],
)
def test_what_is_wrong_is_told_with_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(f"THUMBWHEEL_OPS_{name}", value)
    with pytest.raises(ValidationError) as error:
        Settings()
    assert told in str(error.value)


def test_a_key_from_a_file_may_end_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THUMBWHEEL_OPS_KEY", "the operators'\n")
    key = Settings().ops_key
    assert key and key.get_secret_value() == "the operators'"
    monkeypatch.setenv("THUMBWHEEL_OPS_KEY", "the\noperators'")
    with pytest.raises(ValidationError, match="expected printable ASCII"):
        Settings()
