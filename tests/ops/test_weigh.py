"""Which verdicts decide, and what is told of them."""

import pytest

from ops.seen import Arm, Observation
from ops.tally import Tally
from ops.weigh import THUMBS, Evidence, findings

COMPARISONS = Evidence("comparisons")
RESOLVED = Evidence("outcome:resolved")
COSTS = Evidence("outcome:resolved", less_is_better=True)


def seen(canary: Tally, stable: Tally) -> Observation:
    return Observation(
        stable=Arm(thumbs={1: stable}, outcomes={"resolved": {1: stable}}),
        canary=Arm(thumbs={1: canary}, outcomes={"resolved": {1: canary}}),
    )


SEEN = seen(Tally.rate(150, 200), Tally.rate(100, 200))


def test_one_kind_of_verdict_has_all_of_alpha_and_the_first_of_several_most() -> None:
    (alone,) = findings([THUMBS], 0.05, SEEN)
    first, _ = findings([THUMBS, COMPARISONS], 0.05, SEEN)
    third = findings([COMPARISONS, RESOLVED, THUMBS], 0.05, SEEN)[2]
    assert alone.gain.low > first.gain.low > third.gain.low > 0
    assert first.gain == pytest.approx(findings([THUMBS], 0.04, SEEN)[0].gain)
    assert third.gain == pytest.approx(findings([THUMBS], 0.005, SEEN)[0].gain)


def test_what_is_told_has_the_numbers() -> None:
    (found,) = findings([THUMBS], 0.05, SEEN)
    assert str(found).startswith("gain +24.")
    assert str(found).endswith("on thumbs 150/200 against 100/200")
    assert found.verdicts == 200


def test_of_what_nobody_said_nothing_is_known() -> None:
    for one in (THUMBS, COMPARISONS, RESOLVED):
        (found,) = findings([one], 0.05, Observation())
        assert (found.gain.low, found.gain.high) == (float("-inf"), float("inf"))
        assert "gain unknown" in str(found)


@pytest.mark.parametrize(("one", "sign"), [(RESOLVED, 1), (COSTS, -1)])
def test_of_some_outcomes_less_is_better(one: Evidence, sign: int) -> None:
    (found,) = findings([one], 0.05, SEEN)
    assert found.gain.estimate * sign > 0
    assert found.gain.low <= found.gain.estimate <= found.gain.high
    assert "resolved 0.75 of 200 against 0.5 of 200" in str(found)


def test_comparisons_are_won_where_they_were_shown() -> None:
    wins = Observation(wins={"a": Tally.rate(30, 40), "b": Tally.rate(20, 40)})
    (found,) = findings([COMPARISONS], 0.05, wins)
    assert str(found).endswith("won 50 of 80 comparisons")
    assert found.verdicts == 80
