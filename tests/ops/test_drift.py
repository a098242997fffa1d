from datetime import UTC, datetime, timedelta
from itertools import accumulate
from math import exp, log, sqrt
from random import Random
from statistics import fmean, variance

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feedback.events import Score
from ops.drift import ALPHA, ENGINE_GAP, LEAST_ANSWERS, Drift, Scores, half_width

NOW = datetime(2026, 1, 1, tzinfo=UTC)
gains = st.lists(st.floats(-100, 100), min_size=LEAST_ANSWERS, max_size=60)


def score(
    gain: float = 1.0,
    to_base: float = 2.0,
    *,
    adapter: str = "m-v2",
    stable: str = "m-v1",
    second: float = 0,
    faithful: bool = True,
) -> Score:
    served = -10.0
    return Score(
        at=NOW + timedelta(seconds=second),
        completion_id="c",
        adapter=adapter,
        stable=stable,
        tokens=5,
        served=served,
        under_stable=served - gain,
        under_base=served - to_base,
        faithful=faithful,
    )


def counted(*found: Score) -> Scores:
    scores = Scores()
    for one in found:
        scores.add(one)
    return scores


def to_stable(gains: list[float]) -> Drift:
    return counted(*map(score, gains)).drifts("m-v2", "m-v1")["stable"]


def test_the_estimate_is_the_mean_of_what_an_answer_gained() -> None:
    """Ten of 1 nat and ten of 3: a variance of 20/19, and 17 degrees of freedom of 19 are left."""
    found = counted(*[score(1, 4), score(3, 8)] * 10).drifts("m-v2", "m-v1")
    stable, base = found["stable"], found["base"]
    assert (stable.to, stable.estimate, stable.answers) == ("stable", 2.0, 20)
    assert (base.to, base.estimate, base.answers) == ("base", 6.0, 20)
    # Worked by hand: of a variance of 1 in 20 answers, at the spread that is sharpest at 200,
    # (5.9915 + log 6.9915) / 200 = 0.039681; 20 of it and 1 are 1.79361; and so on.
    unit = 2 * 1.79361 / (400 * 0.039681) * log(sqrt(1.79361) / 0.05)
    half = sqrt(20 / 19 * 19 / 17 * unit) + 0.1
    assert stable.high - 2 == pytest.approx(half, rel=1e-4)
    assert 2 - stable.low == pytest.approx(half, rel=1e-4)
    assert half == pytest.approx(1.0358, abs=1e-3)
    assert base.high - 6 == pytest.approx(2 * (half - 0.1) + 0.1, rel=1e-4)


def test_of_too_few_answers_nothing_is_said() -> None:
    scores = counted(*[score()] * (LEAST_ANSWERS - 1))
    assert scores.drifts("m-v2", "m-v1") == {}
    scores.add(score())
    assert scores.drifts("m-v2", "m-v1").keys() == {"stable", "base"}
    assert scores.drifts("m-v9", "m-v1") == {}


def test_scores_against_another_stable_say_nothing_of_this_one() -> None:
    scores = counted(*[score(1, stable="m-v0")] * 20, *[score(5)] * 19)
    assert scores.drifts("m-v2", "m-v1").keys() == {"base"}
    scores.add(score(5))
    found = scores.drifts("m-v2", "m-v1")
    assert (found["stable"].estimate, found["stable"].answers) == (5.0, 20)
    assert found["base"].answers == 40


def test_scores_of_another_adapter_say_nothing_of_this_one() -> None:
    scores = counted(*[score(1)] * 20, *[score(9, adapter="m-v1")] * 20)
    assert scores.drifts("m-v2", "m-v1")["stable"].estimate == 1.0
    assert scores.drifts("m-v1", "m-v1")["stable"].estimate == 9.0


def test_it_tells_how_many_are_faithful_and_how_old_the_newest_is() -> None:
    seconds = [*range(20)]
    Random(0).shuffle(seconds)  # they may come in any order
    found = counted(*(score(second=at, faithful=at % 4 == 0) for at in seconds))
    drift = found.drifts("m-v2", "m-v1")["stable"]
    assert drift.newest == NOW + timedelta(seconds=19)
    assert (drift.answers, drift.faithful) == (20, 5)


def test_what_engines_differ_by_is_no_drift() -> None:
    """However many answers: a constant difference has no variance at all."""
    drift = to_stable([ENGINE_GAP / 2] * 1000)
    assert drift.low < 0 < drift.high


@settings(max_examples=50)
@given(gains, st.randoms(use_true_random=False))
def test_sums_as_they_grow_are_those_of_all_in_any_order(values: list[float], by: Random) -> None:
    half = half_width(len(values), variance(values)) + ENGINE_GAP
    for _ in range(2):
        found = to_stable(values)
        assert found.estimate == pytest.approx(fmean(values), abs=1e-9)
        assert found.high - found.estimate == pytest.approx(half, rel=1e-6)
        assert found.estimate - found.low == pytest.approx(half, rel=1e-6)
        by.shuffle(values)


@given(st.integers(LEAST_ANSWERS, 10**6))
def test_more_answers_tell_more_and_never_as_much_as_one_look_would(n: int) -> None:
    assert half_width(n + 1, 1.0) < half_width(n, 1.0)
    assert half_width(n, 1.0) > 1.96 / sqrt(n)


@pytest.mark.parametrize("heavy", [False, True])
def test_looked_at_after_every_answer_it_is_above_the_truth_in_few_trials(heavy: bool) -> None:
    """A canary on its budget would be withdrawn for it: 2.5% of them, not each in the end."""
    by, trials = Random(0), 400
    unit = [half_width(n, 1.0) for n in range(LEAST_ANSWERS, 301)]
    truth = exp(0.5) if heavy else 0.0
    wrong = 0
    for _ in range(trials):
        gains = [by.lognormvariate(0, 1) if heavy else by.gauss(0, 1) for _ in range(300)]
        sums, squares = [*accumulate(gains)], [*accumulate(gain * gain for gain in gains)]
        wrong += any(
            sums[n - 1] / n - half * sqrt((squares[n - 1] - sums[n - 1] ** 2 / n) / (n - 1)) > truth
            for n, half in enumerate(unit, start=LEAST_ANSWERS)
        )
    assert wrong <= trials * ALPHA / 2 + 5
