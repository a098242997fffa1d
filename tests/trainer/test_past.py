from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from trainer.adapters import Estimate, GateResult
from trainer.endings import Ending
from trainer.past import Ended, Past, UnderWay, death_of

DAY = datetime(2026, 1, 1, tzinfo=UTC)
BAD = GateResult(name="kl_base", passed=False, reason="too far")
GOOD = GateResult(name="end", passed=True, reason="as before")


def ended(outcome: Ending = "published", minute: int = 0, adapter: str | None = None) -> Ended:
    at = DAY + timedelta(minutes=minute)
    return Ended(
        outcome=outcome,
        why="because",
        parent="base",
        adapter=adapter,
        began_at=at - timedelta(seconds=20),
        ended_at=at,
        counts={"train": 5, "replay": 1, "holdout": 2, "dropped: too old": 3} if adapter else {},
        gates=(GOOD, BAD) if adapter else (),
        kl={"parent": Estimate(value=1.5, stderr=0.1, n=9)} if adapter else {},
        scores={"length": 7.0} if adapter else {},
        steps={"epoch": 9.0},
    )


def test_a_round_with_an_adapter_is_counted_with_all_it_used() -> None:
    past = Past(since=DAY).after(ended("gated", 1, "m-v1")).after(ended("gated", 2, "m-v2"))
    assert past.rounds == {"gated": 2}
    assert past.examples == {"train": 10, "replay": 2, "holdout": 4}
    assert past.gate_failures == {"kl_base": 2}
    assert (past.made, past.made_seconds) == (2, 40)
    assert past.newest == past.last == ended("gated", 2, "m-v2")


def test_a_round_without_one_leaves_the_newest_candidate_as_it_was() -> None:
    past = Past(since=DAY).after(ended("published", 1, "m-v1")).after(ended("too_few", 2))
    assert past.newest == ended("published", 1, "m-v1")
    assert past.last == ended("too_few", 2)
    assert past.ended_at == {
        "published": DAY + timedelta(minutes=1),
        "too_few": DAY + timedelta(minutes=2),
    }


def test_a_death_that_is_found_out_later_is_not_the_last_ending() -> None:
    dead = UnderWay(began_at=DAY, told_at=DAY + timedelta(minutes=1), parent="base", step="gates")
    past = Past(since=DAY).after(ended("published", 5, "m-v1")).after(death_of(dead))
    assert past.last == ended("published", 5, "m-v1")
    assert past.rounds == {"published": 1, "died": 1}
    assert death_of(dead).why == "killed at gates"


@given(st.permutations([("published", 1), ("failed", 2), ("failed", 3), ("too_few", 4)]))
def test_in_whatever_order_they_are_told_the_numbers_are_the_same(
    rounds: list[tuple[Ending, int]],
) -> None:
    past = Past(since=DAY)
    for outcome, minute in rounds:
        past = past.after(ended(outcome, minute))
    assert past.rounds == {"published": 1, "failed": 2, "too_few": 1}
    assert past.ended_at["failed"] == DAY + timedelta(minutes=3)
    assert past.last == ended("too_few", 4)


def test_what_is_kept_is_read_again_as_it_was() -> None:
    past = Past(since=DAY).after(ended("gated", 1, "m-v1")).after_failure_of("wandb")
    assert Past.model_validate_json(past.model_dump_json()) == past
    assert past.tracker_failures == {"wandb": 1}
