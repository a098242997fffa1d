"""Each guardrail by itself, and what an equal canary meets."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ops.drift import Drift, To
from ops.guardrails import Limits, crossed, unknown
from ops.seen import Arm, Newcomers, Observation, Queried
from ops.served import Served, length_of
from ops.tally import Tally

ALONE = Limits(kl_stable=None, kl_base=None)
NOW = datetime.now(UTC)


ANSWERS = 300


def served(
    *,
    errors: int = 0,
    not_loaded: int = 0,
    refusals: int = 0,
    slow: int = 0,
    tokens: Sequence[int] = (90, 100, 110),
    times: int = 100,
) -> Served:
    """Each answer by a user of its own."""
    return Served(
        ANSWERS,
        not_loaded,
        error=Tally.rate(errors, ANSWERS),
        refusal=Tally.rate(refusals, ANSWERS),
        slow=Tally.rate(slow, ANSWERS),
        length=Tally.of(values(length_of(one)) for one in [*tokens] * times),
    )


def values(*of: float) -> tuple[int, float, float]:
    """Of one user."""
    return len(of), sum(of), sum(one * one for one in of)


def seen(canary: Served, stable: Served | None = None, **more: Any) -> Observation:
    one = Observation(stable=Arm(step=stable or served()), canary=Arm(step=canary))
    return replace(one, **more)


def drift(to: To, low: float, estimate: float) -> Drift:
    return Drift(to, estimate, low, 2 * estimate - low, 50, NOW)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (seen(served()), []),
        (seen(served(errors=60)), ["errors"]),
        (seen(served(errors=60), served(errors=60)), []),  # the engine's fault
        (seen(served(errors=12)), []),  # more than stable's, and few
        (seen(served(not_loaded=3, errors=3)), ["not_loaded"]),
        (seen(served(not_loaded=2, errors=2)), []),
        (seen(served(refusals=90), served(refusals=30)), ["refusals"]),
        (seen(served(slow=100)), ["latency"]),
        (seen(served(slow=12)), []),  # more than stable's, and few
        (seen(served(slow=100), served(slow=100)), []),
        (seen(served(tokens=(290, 300, 310))), ["length"]),
        (seen(served(tokens=(30, 31, 32))), ["length"]),
        (seen(served(tokens=(150, 160, 170))), []),
        (seen(served(tokens=(900,), times=1)), []),  # of one answer nothing is known
        (seen(served(), newcomers=[Newcomers(0.5, 400, 100)]), ["sample_ratio"]),
        (seen(served(), newcomers=[Newcomers(0.5, 251, 249)]), []),
        (seen(served(), queried=[Queried("p99", 2.1, 2.0)]), ["query"]),
        (seen(served(), queried=[Queried("p99", 2.0, 2.0), Queried("x", None, 1.0)]), []),
    ],
)
def test_guardrail(seen: Observation, expected: list[str]) -> None:
    assert [one.guardrail for one in crossed(ALONE, seen)] == expected


@pytest.mark.parametrize(
    ("low", "estimate", "found"), [(5.1, 7.0, ["kl"]), (4.9, 7.0, []), (1.0, 2.0, [])]
)
def test_the_budget_is_passed_where_the_interval_lies_beyond(
    low: float, estimate: float, found: list[str]
) -> None:
    limits = Limits(kl_stable=5.0, kl_base=None)
    far = seen(served(), drifts={"stable": drift("stable", low, estimate)})
    assert [one.guardrail for one in crossed(limits, far)] == found


def test_too_few_scores_or_old_ones_and_a_silent_prometheus_are_not_known() -> None:
    limits = Limits(kl_stable=5.0, kl_base=None, score_seconds=60)
    assert [*unknown(limits, seen(served()))] == [
        "0 live answers are scored, 20 tell its KL to stable "
        "(`python -m trainer.score` does; ops_max_kl_stable=none goes without)"
    ]
    known = seen(served(), drifts={"stable": drift("stable", 1.0, 2.0)}, score_seconds=59.0)
    assert not [*unknown(limits, known)]
    assert [*unknown(limits, replace(known, score_seconds=61.0))] == [
        "the newest score of its answers is 61 s old"
    ]
    silent = seen(served(), queried=[Queried("p99", None, 2.0)])
    assert [*unknown(ALONE, silent)] == ["Prometheus does not say what p99 is: it says nothing"]


def test_of_nothing_nothing_is_told() -> None:
    assert not [*crossed(ALONE, seen(Served()))]
    assert not [*crossed(ALONE, seen(served(), Served()))]


def test_one_user_s_requests_are_one_user() -> None:
    """They all fail, are refused, and are long; those of the others are as they were."""
    mine = Tally.of([values(*[1.0] * 60), *[values(0.0)] * 240])
    long = Tally.of([values(*[length_of(9000)] * 250), *[values(length_of(100))] * 50])
    one = Served(ANSWERS, error=mine, refusal=mine, slow=mine, length=long)
    assert not [*crossed(ALONE, seen(one))]
    twelve = Tally.of([values(*[1.0] * 5)] * 12 + [values(0.0)] * 240)
    many = replace(one, error=twelve)
    assert [found.guardrail for found in crossed(ALONE, seen(many))] == ["errors"]


def test_answers_that_are_all_of_one_length_are_not_longer() -> None:
    assert not [*crossed(ALONE, seen(served(tokens=(3, 3, 3)), served(tokens=(3, 3, 3))))]


def test_answers_that_are_all_of_another_length_are() -> None:
    other = seen(served(tokens=(60, 60, 60)), served(tokens=(3, 3, 3)))
    assert [one.guardrail for one in crossed(ALONE, other)] == ["length"]
