"""Each rule just below, at and above its limit; and none of them minds the order of arrival."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from feedback.chance import binomial_tail, drawn_at_least
from feedback.examples import Identity
from feedback.guard import (
    Crowd,
    Opinion,
    Rules,
    Suspicion,
    Thumbs,
    contrary,
    crowd_of,
    crowded,
    in_bursts,
    one_sided,
    over_the_cap,
    suspects,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def thumb(
    of: str, seconds: float = 0, *, up: bool = True, by: str = "ann", on: str = "v1", slot: str = ""
) -> Opinion:
    """Of a completion that `ann` asked for."""
    identity = Identity(of, slot or "thumb", by)
    return Opinion(identity, "ann", on, NOON + timedelta(seconds=seconds), up=None if slot else up)


def comparison(a: str, b: str, winner: str, seconds: float = 0, *, by: str) -> Opinion:
    at = NOON + timedelta(seconds=seconds)
    return Opinion(Identity(a, "comparison", by), "ann", "v1", at, winner=winner, rival_id=b)


def named(found: list[Suspicion]) -> list[str]:
    return sorted(one.identity.completion_id for one in found)


def names(*numbers: int) -> list[str]:
    return [f"c{i:03}" for i in numbers]


def judged(count: int, gap: float) -> list[Opinion]:
    return [thumb(name, gap * i) for i, name in enumerate(names(*range(count)))]


@pytest.mark.parametrize(
    ("count", "expected"), [(2, []), (3, []), (4, names(3)), (6, names(3, 4, 5))]
)
def test_beyond_the_cap_of_a_day_nothing_counts(count: int, expected: list[str]) -> None:
    assert named(over_the_cap(Rules(a_day=3), judged(count, 300))) == expected


def test_the_cap_is_of_the_utc_day() -> None:
    midnight = 12 * 3600
    said = [thumb("c1", midnight - 2), thumb("c2", midnight - 1), thumb("c3", midnight)]
    said[2] = said[2]._replace(at=said[2].at.astimezone(timezone(timedelta(hours=-9))))
    assert over_the_cap(Rules(a_day=2), said) == []
    assert named(over_the_cap(Rules(a_day=1), said)) == ["c2"]


def test_all_that_is_said_of_one_completion_is_one_for_the_cap() -> None:
    said = [thumb("c1"), thumb("c1", 1, slot="correction"), thumb("c2", 2)]
    assert over_the_cap(Rules(a_day=2), said) == []
    assert named(over_the_cap(Rules(a_day=1), said)) == ["c2"]


def test_at_one_time_the_cap_goes_by_name() -> None:
    said = [thumb("c2"), thumb("c1")]
    assert named(over_the_cap(Rules(a_day=1), said)) == ["c2"]


def test_the_reason_tells_the_numbers() -> None:
    found = over_the_cap(Rules(a_day=3), judged(5, 1))
    assert {one.reason for one in found} == {
        "5 completions judged on 2026-11-21; at most 3 a day count"
    }


@pytest.mark.parametrize(
    ("count", "gap", "expected"),
    [
        (2, 1, []),
        (3, 1, []),
        (4, 1, names(3)),
        (5, 1, names(3, 4)),
        (4, 20, names(3)),  # the first is just 60 s before the last
        (4, 20.1, []),
    ],
)
def test_of_a_burst_the_first_few_count(count: int, gap: float, expected: list[str]) -> None:
    rules = Rules(in_a_burst=3, burst_seconds=60)
    assert named(in_bursts(rules, judged(count, gap))) == expected


def test_after_a_burst_a_rater_counts_again() -> None:
    rules = Rules(in_a_burst=3, burst_seconds=60)
    assert named(in_bursts(rules, [*judged(4, 1), thumb("c100", 64)])) == names(3)


@pytest.mark.parametrize(("outsiders", "expected"), [(2, 0), (3, 0), (4, 4), (9, 9)])
def test_many_strangers_on_one_completion_do_not_count_its_asker_does(
    outsiders: int, expected: int
) -> None:
    said = [thumb("c1"), *(thumb("c1", by=f"s{i}") for i in range(outsiders))]
    found = crowded(Rules(outsiders=3), said)
    assert len(found) == expected
    assert "ann" not in {one.identity.rater for one in found}


def test_a_stranger_who_says_several_things_is_one() -> None:
    said = [thumb("c1", by=f"s{i}", slot=slot) for i in range(3) for slot in ("thumb", "outcome:x")]
    assert crowded(Rules(outsiders=3), said) == []


def rated(ups: int, downs: int, *, on: str = "v1") -> list[Opinion]:
    return [thumb(f"{on}-{i}", 999 * i, up=i < ups, on=on) for i in range(ups + downs)]


def crowd(*rates: float, on: str = "v1", each: int = 20) -> Crowd:
    return {on: {f"other-{i}": Thumbs(round(each * r), each) for i, r in enumerate(rates)}}


HALF = crowd(*[0.5] * 10)


@pytest.mark.parametrize(
    ("ups", "downs", "others", "suspected"),
    [
        (19, 0, HALF, False),  # too few to tell
        (20, 0, HALF, True),  # 2 ** -20 is 9.5e-7
        (0, 19, HALF, False),
        (0, 20, HALF, True),
        (94, 6, HALF, False),  # improbable, but of two minds
        (95, 5, HALF, True),
        (20, 0, crowd(*[0.55] * 10), False),
        (24, 0, crowd(*[0.55] * 10), True),
        (20, 0, crowd(*[0.5] * 9), False),  # nine are no crowd
        (20, 0, crowd(*[0.5] * 10, each=4), False),  # nor are those who hardly spoke
        (20, 0, crowd(*[0.5] * 8, 1, 1), False),  # a fifth of the others say the same
        (20, 0, crowd(*[0.5] * 9, 1), True),
        (20, 0, crowd(*[0.5] * 8, 0, 0), True),  # the other side is no excuse
        (0, 20, crowd(*[0.5] * 8, 0, 0), False),
        (20, 0, {}, False),
    ],
)
def test_who_says_but_one_thing_is_suspect_where_few_do(
    ups: int, downs: int, others: Crowd, suspected: bool
) -> None:
    found = one_sided(Rules(), rated(ups, downs), others)
    assert len(found) == (ups + downs if suspected else 0)


def test_the_crowd_is_the_others() -> None:
    """With the rater's own rate among them, a fifth would say the same."""
    others = {"v1": {**crowd(*[0.5] * 12, 1, 1)["v1"], "ann": Thumbs(20, 20)}}
    assert len(one_sided(Rules(), rated(20, 0), others)) == 20


def test_who_is_one_sided_on_one_adapter_is_caught_behind_honest_thumbs_on_another() -> None:
    said = [*rated(20, 0, on="v2"), *rated(10, 10, on="v1")]
    assert len(one_sided(Rules(), said, {**HALF, **crowd(*[0.5] * 10, on="v2")})) == 40


def test_thumbs_on_several_adapters_are_told_from_the_crowd_together() -> None:
    said = [*rated(10, 0, on="v1"), *rated(10, 0, on="v2")]
    assert len(one_sided(Rules(), said, {**HALF, **crowd(*[0.5] * 10, on="v2")})) == 20
    assert one_sided(Rules(), said, HALF) == []  # of v2 nobody else said anything


def test_the_reason_for_one_sidedness_tells_the_numbers() -> None:
    assert one_sided(Rules(), rated(1, 29), HALF)[0].reason == (
        "29 of 30 thumbs down where 80% of others have at most 50%; by chance in less than 1e-06"
    )


def compared(up_on_worse: int, down_on_better: int, agreed: int = 0) -> Iterator[Opinion]:
    """Ann's thumbs, against and with what three others found in comparisons."""
    cases = [(True, "b")] * up_on_worse + [(False, "a")] * down_on_better
    cases += [(True, "a"), (False, "b")] * agreed
    for i, (up, winner) in enumerate(cases):
        yield thumb(f"c{i}", 999 * i, up=up)
        yield comparison(f"c{i}", f"d{i}", winner, by=f"other-{i % 3}")


def found_contrary(said: list[Opinion]) -> list[Suspicion]:
    own, others = ([one for one in said if bool(one.winner) == compares] for compares in (0, 1))
    return contrary(Rules(), own, others)


@pytest.mark.parametrize(
    ("up_on_worse", "down_on_better", "agreed", "suspected"),
    [
        (6, 6, 0, False),  # 1 of 924 ways
        (6, 7, 0, True),  # 1 of 1716
        (0, 13, 0, False),  # who finds everything bad disagrees with nobody's order
        (13, 0, 0, False),
        (10, 10, 10, False),  # half right is no sign
        (0, 0, 20, False),
    ],
)
def test_who_likes_what_others_found_worse_is_suspect(
    up_on_worse: int, down_on_better: int, agreed: int, suspected: bool
) -> None:
    found = found_contrary([*compared(up_on_worse, down_on_better, agreed)])
    assert len(found) == (up_on_worse + down_on_better + 2 * agreed if suspected else 0)


@pytest.mark.parametrize(
    ("who", "suspected"),
    [(["x"], False), (["x", "y"], False), (["x", "y", "z"], True), (["x", "y", "ann"], False)],
)
def test_it_takes_three_others_to_find_somebody_contrary(who: list[str], suspected: bool) -> None:
    own = [thumb(f"c{i}", up=i < 10) for i in range(20)]
    others = [
        comparison(f"c{i}", f"d{i}", "b" if i < 10 else "a", by=who[i % len(who)])
        for i in range(20)
    ]
    assert bool(contrary(Rules(), own, others)) == suspected


@pytest.mark.parametrize(("winner", "counts"), [("a", True), ("both_bad", True), ("tie", False)])
def test_a_comparison_speaks_of_both_a_tie_of_neither(winner: str, counts: bool) -> None:
    """Ann's ups are on the second answer, `b`, which loses; her downs are on winners."""
    own = [thumb(f"c{i}", up=i < 10) for i in range(20)]
    others = [comparison(f"a{i}", f"c{i}", winner, by=f"o{i % 3}") for i in range(10)]
    others += [comparison(f"c{i}", f"a{i}", "a", by=f"o{i % 3}") for i in range(10, 20)]
    assert bool(contrary(Rules(), own, others)) == counts


def test_what_nobody_compared_says_nothing() -> None:
    assert found_contrary([*compared(6, 6), *(thumb(f"e{i}", up=False) for i in range(20))]) == []


def test_where_others_disagree_with_each_other_nobody_is_contrary() -> None:
    own = [thumb(f"c{i}", up=i < 10) for i in range(20)]
    others = [
        comparison(f"c{i}", f"d{i}", winner, by=f"o{i % 3}{winner}")
        for i in range(20)
        for winner in "ab"
    ]
    assert contrary(Rules(), own, others) == []


@pytest.mark.parametrize(
    ("least", "total", "rate", "expected"),
    [
        (0, 5, 0.3, 1.0),
        (5, 5, 0.5, 1 / 32),
        (4, 5, 0.5, 6 / 32),
        (2, 3, 0.2, 3 * 0.2**2 * 0.8 + 0.2**3),
        (3, 3, 1.0, 1.0),
        (1, 3, 0.0, 0.0),
        (2000, 2000, 0.9, 0.9**2000),
    ],
)
def test_the_binomial_tail_by_hand(least: int, total: int, rate: float, expected: float) -> None:
    assert binomial_tail(least, total, rate) == pytest.approx(expected, rel=1e-9)


def test_the_chance_of_a_draw_by_hand() -> None:
    # Of 5, 2 marked, draw 3: both are among them in 3 of 10 ways, one or both in 9.
    assert drawn_at_least(2, 3, 2, 5) == pytest.approx(0.3)
    assert drawn_at_least(1, 3, 2, 5) == pytest.approx(0.9)
    assert drawn_at_least(0, 0, 0, 0) == 1.0


def test_the_crowd_is_counted_from_thumbs_alone() -> None:
    said = [*rated(2, 1), thumb("c9", by="bob", up=False), comparison("c1", "c2", "a", by="eve")]
    assert crowd_of(said) == {"v1": {"ann": Thumbs(2, 3), "bob": Thumbs(0, 1)}}


# Something for each rule, and a few that nobody minds.
SOME = Rules(a_day=25, in_a_burst=4, outsiders=2)
ABUSED = [
    *judged(6, 1),
    *(thumb("c999", 9999 + i, by=f"s{i}") for i in range(4)),
    *(thumb(f"x{i}", 70 * i, by="eve", up=False) for i in range(30)),
    *(thumb(f"y{i}{j}", 500 * j, by=f"u{i}", up=j % 2 == 0) for i in range(10) for j in range(6)),
    *(one._replace(identity=one.identity._replace(rater="mal")) for one in rated(7, 7, on="z")),
    *(comparison(f"z-{i}", "w", "ba"[i // 7], 999 * i, by=f"u{i % 3}") for i in range(14)),
]


def test_every_rule_is_asked_and_each_verdict_is_named_once() -> None:
    found = suspects(SOME, ABUSED)
    words = ("be read", "not ask", "a day", "of others have", "found worse")
    raters = [{one.identity.rater for one in found if word in one.reason} for word in words]
    assert raters == [{"ann"}, {"s0", "s1", "s2", "s3"}, {"eve"}, {"eve"}, {"mal"}]
    assert len({one.identity for one in found}) == len(found) == 2 + 4 + 30 + 14


IN_ORDER = suspects(SOME, ABUSED)


@settings(max_examples=40)
@given(st.integers())
def test_no_order_of_arrival_matters(seed: int) -> None:
    assert suspects(SOME, Random(seed).sample(ABUSED, len(ABUSED))) == IN_ORDER


def test_nothing_said_is_nothing_suspected() -> None:
    assert suspects(Rules(), []) == []


@pytest.mark.parametrize(
    "wrong",
    [{"a_day": 0}, {"one_sided_share": 0.5}, {"one_sided_chance": 0}, {"crowd_quantile": 1}],
)
def test_a_rule_without_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Rules(**wrong)  # type: ignore[arg-type]  # wrong on purpose
