"""Of several controllers one leads, whatever happens to it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.lease import Claim, Lease, standing
from tests.ops.made import Place

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def lease(place: Place, holder: str, clock: Clock) -> Lease:
    return Lease(place.log, holder, 15.0, clock)


def claims(place: Place) -> int:
    return sum(place.log.end("lease").values())


def test_who_comes_first_leads_and_the_other_waits_until_it_dies(
    place: Place, clock: Clock
) -> None:
    one, two = lease(place, "one", clock), lease(place, "two", clock)
    assert (one.leads(), two.leads(), two.leader) == (True, False, "one")
    clock.wait(14.9)
    assert not two.leads()
    clock.wait(0.2)
    assert (two.leads(), one.leads(), one.leader) == (True, False, "two")


def test_who_leads_renews_in_time_and_not_at_every_tick(place: Place, clock: Clock) -> None:
    one, two = lease(place, "one", clock), lease(place, "two", clock)
    for _ in range(60):
        assert one.leads()
        assert not two.leads()
        clock.wait(1.0)
    assert claims(place) <= 13


def test_a_lease_that_is_given_back_is_free_at_once(place: Place, clock: Clock) -> None:
    one, two = lease(place, "one", clock), lease(place, "two", clock)
    assert one.leads()
    two.give_back()  # it is not its own
    assert not two.leads()
    one.give_back()
    assert two.leads()


def test_who_is_started_again_is_another_and_waits_too(place: Place, clock: Clock) -> None:
    assert lease(place, "one", clock).leads()
    assert not lease(place, "one again", clock).leads()
    clock.wait(15.1)
    assert lease(place, "one again", clock).leads()


def test_who_slept_through_its_lease_knows_it(place: Place, clock: Clock) -> None:
    one, two = lease(place, "one", clock), lease(place, "two", clock)
    assert one.leads()
    clock.wait(20)
    assert two.leads()
    assert not one.leads()


made = st.lists(
    st.builds(
        lambda second, holder, seconds: Claim(
            at=BEGAN + timedelta(seconds=second), holder=holder, seconds=seconds
        ),
        st.integers(0, 60),
        st.sampled_from(["one", "two", "three"]),
        st.sampled_from([0.0, 5.0, 15.0]),
    )
)


@given(made, st.integers(0, 10))
def test_who_reads_bit_by_bit_finds_what_who_reads_all_does(made: list[Claim], cut: int) -> None:
    assert standing(made[cut:], standing(made[:cut])) == standing(made)


@given(made)
def test_nobody_takes_a_lease_that_has_not_run_out(made: list[Claim]) -> None:
    before = None
    for claim in made:
        after = standing([claim], before)
        if before and after and after.holder != before.holder:
            assert after.at >= before.until
        before = after
