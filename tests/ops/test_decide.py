"""Every rule that moves traffic, as one table."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ops.decide import Decision, Hold, Promote, Rules, Start, Step, Trial, Withdraw, decide
from ops.guardrails import Limits
from ops.seen import Arm, Observation, Queried, Side
from ops.served import Served
from ops.tally import Tally
from ops.weigh import THUMBS, Evidence
from serving.split import Split

RULES = Rules(
    steps_percent=(10, 50),
    min_seconds=60,
    min_completions=20,
    min_verdicts=5,
    evidence=(THUMBS,),
    limits=Limits(kl_stable=None, kl_base=None),
)
ALONE = Split(at=datetime.now(UTC), revision=3, stable="m-v1", reason="so", by="ops")
ON_TRIAL = ALONE.model_copy(update={"canary": "m-v2", "share_percent": 10.0})
LAST_STEP = ALONE.model_copy(update={"canary": "m-v2", "share_percent": 50.0})
PINNED = ON_TRIAL.model_copy(update={"pinned": True})


def trial(split: Split, *, waiting: str | None = None, seconds: float = 100) -> Trial:
    return Trial(split, waiting, seconds=seconds, step_seconds=seconds)


def seen(
    canary: tuple[int, int],
    stable: tuple[int, int] = (50, 100),
    *,
    completions: int = 100,
    errors: int = 0,
    stable_errors: int = 0,
) -> Observation:
    served = Served(completions, error=Tally.rate(errors, completions))
    return Observation(
        stable=Arm(
            100, Served(100, error=Tally.rate(stable_errors, 100)), {1: Tally.rate(*stable)}
        ),
        canary=Arm(completions, served, {1: Tally.rate(*canary)}),
    )


@pytest.mark.parametrize(
    ("trial", "seen", "expected", "reason"),
    [
        (trial(ALONE), None, Hold, "no adapter waits"),
        (trial(ALONE, waiting="m-v2"), None, Start, "m-v2 passed its gates"),
        (trial(PINNED), seen((0, 90)), Hold, "paused at revision 3"),
        (trial(ON_TRIAL), None, Hold, "blind is not healthy"),
        (trial(ON_TRIAL), seen((0, 0)), Hold, "no sign yet"),
        (trial(ON_TRIAL), seen((3, 4)), Hold, "no sign yet"),
        (trial(ON_TRIAL), seen((2, 10)), Hold, "no sign yet"),
        (trial(ON_TRIAL, seconds=30), seen((9, 10)), Hold, "30 of 60 s"),
        (trial(ON_TRIAL), seen((9, 10), completions=19), Hold, "19 of 20 completions"),
        (trial(ON_TRIAL), seen((9, 10)), Step, "not worse so far"),
        (trial(ON_TRIAL), seen((99, 100)), Step, "not worse so far"),
        (trial(LAST_STEP), seen((9, 10)), Hold, "not yet better"),
        (trial(LAST_STEP), seen((85, 100)), Promote, r"better: gain \+34"),
        (trial(LAST_STEP, seconds=30), seen((85, 100)), Hold, "30 of 60 s"),
        (trial(ON_TRIAL, seconds=5), seen((0, 20)), Withdraw, "worse: gain -4"),
        (trial(LAST_STEP), seen((5000, 10000), (5000, 10000)), Hold, "not yet better"),
        (trial(LAST_STEP), seen((50000, 100000), (50200, 100000)), Withdraw, "cannot gain 0.01"),
        (trial(LAST_STEP, seconds=8 * 86400), seen((9, 10)), Withdraw, "not promoted after"),
        (trial(ON_TRIAL), seen((9, 10), errors=20), Withdraw, "errors: .* 20/100 against 0/100"),
        (trial(ON_TRIAL), seen((9, 10), errors=4), Step, "not worse so far"),
        (trial(ON_TRIAL), seen((9, 10), errors=80, stable_errors=72), Step, "not worse so far"),
        (trial(ON_TRIAL), seen((9, 10), errors=75, stable_errors=75), Step, "not worse so far"),
        (trial(ON_TRIAL), seen((9, 10), completions=8, errors=8), Withdraw, "8/8 against 0/100"),
    ],
)
def test_rule(
    trial: Trial, seen: Observation | None, expected: type[Decision], reason: str
) -> None:
    decision = decide(RULES, trial, seen)
    assert type(decision) is expected, decision
    assert re.search(reason, decision.reason)


def test_who_cannot_gain_by_what_was_heard_is_futile_though_a_kind_was_never_heard() -> None:
    usual = replace(RULES, evidence=Rules.evidence)
    equal = seen((50000, 100000), (50200, 100000))
    assert isinstance(decide(usual, trial(LAST_STEP), equal), Withdraw)
    unheard = seen((0, 0), (0, 0))
    assert isinstance(decide(usual, trial(LAST_STEP), unheard), Hold)


def test_the_steps_go_from_share_to_share() -> None:
    rules = replace(RULES, steps_percent=(1.0, 5.0, 25.0))
    shares = []
    split = ALONE.model_copy(update={"canary": "m-v2", "share_percent": 1.0})
    for _ in range(2):
        decision = decide(rules, trial(split), seen((9, 10)))
        assert isinstance(decision, Step)
        shares.append(decision.share_percent)
        split = split.model_copy(update={"share_percent": decision.share_percent})
    assert shares == [5.0, 25.0]
    assert isinstance(decide(rules, trial(split), seen((95, 100))), Promote)


def test_a_canary_begins_with_the_first_share() -> None:
    decision = decide(RULES, trial(ALONE, waiting="m-v2"), None)
    assert decision == Start("m-v2 passed its gates", "m-v2", 10)


NO_WORSE = replace(RULES, goal="no_worse", margin=0.05)


@pytest.mark.parametrize(
    ("seen", "expected", "reason"),
    [
        (seen((5000, 10000), (5000, 10000)), Promote, "no worse by 0.05"),
        (seen((5400, 10000), (5000, 10000)), Promote, "better: gain"),
        (seen((4900, 10000), (5000, 10000)), Promote, "no worse by 0.05"),
        (seen((50, 100)), Hold, "not yet known to be within 0.05"),
        (seen((4000, 10000), (5000, 10000)), Withdraw, "worse: gain -10"),
    ],
)
def test_where_it_need_be_no_worse(
    seen: Observation, expected: type[Decision], reason: str
) -> None:
    decision = decide(NO_WORSE, trial(LAST_STEP), seen)
    assert type(decision) is expected, decision
    assert re.search(reason, decision.reason)


def test_what_cannot_be_told_holds_a_canary_and_saves_none() -> None:
    blind = replace(RULES, limits=Limits(kl_stable=5.0, kl_base=None))
    for split in (ON_TRIAL, LAST_STEP):
        decision = decide(blind, trial(split), seen((85, 100)))
        assert isinstance(decision, Hold)
        assert "blind is not healthy; gain" in decision.reason
    assert isinstance(decide(blind, trial(ON_TRIAL), seen((0, 20))), Withdraw)


def test_a_guardrail_comes_before_what_users_say_and_names_itself() -> None:
    liked = replace(seen((99, 100)), queried=[Queried("tickets", 3.0, 2.0)])
    decision = decide(RULES, trial(LAST_STEP), liked)
    assert decision == Withdraw("query: tickets is 3, at most 2 is allowed")


def test_one_kind_of_verdict_that_is_worse_is_enough() -> None:
    both = replace(RULES, evidence=(THUMBS, Evidence("comparisons")))
    lost: dict[Side, Tally] = {"a": Tally.rate(5, 60), "b": Tally.rate(6, 60)}
    decision = decide(both, trial(LAST_STEP), replace(seen((99, 100)), wins=lost))
    assert isinstance(decision, Withdraw)
    assert "won 11 of 120 comparisons" in decision.reason


def test_kinds_of_which_nothing_is_known_are_not_told() -> None:
    both = replace(RULES, evidence=(THUMBS, Evidence("comparisons")))
    assert "comparisons" not in decide(both, trial(LAST_STEP), seen((9, 10))).reason
