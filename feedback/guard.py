"""Who abuses their vote? Rules on what raters said, each suspicion with its reason. Pure.

Every rule is a function of what was said, never of the order of arrival, and may be asked again at
any time. It only suspects: what follows from that is for others to decide.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Annotated, NamedTuple, TypeVar

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from feedback.chance import binomial_tail, drawn_at_least
from feedback.examples import Identity

Count = Annotated[int, Field(ge=1)]
Chance = Annotated[float, Field(gt=0, lt=1)]
Key = TypeVar("Key", bound=Hashable)
_POINTS = {"a": (1, -1), "b": (-1, 1), "both_bad": (-1, -1)}  # of the two, by who won


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Rules:
    """The measurements are of `python -m tests.bench.poisoning`, told in docs/experiments.md."""

    a_day: Count = 100  # at 50 twice as many honest verdicts are hit, for a few more false ones
    # Adults read 238 words a minute (Brysbaert 2019): twelve answers of 20 words, and no clicks.
    in_a_burst: Count = 12
    burst_seconds: Annotated[float, Field(gt=0, le=3600)] = 60.0
    outsiders: Count = 3  # a shared chat has a few readers
    one_sided_least: Count = 20  # no fewer are that improbable where the crowd likes one half
    one_sided_share: Annotated[float, Field(gt=0.5, le=1)] = 0.95
    one_sided_chance: Chance = 1e-6  # ten thousand raters, asked again after every batch
    crowd_least: Count = 10  # others who make a crowd,
    crowd_thumbs: Count = 5  # each with so many thumbs that their rate says something
    # Who is more than the rest, a fifth, sets the measure. At one half honest users who only click
    # when angry are hit although many do; at 0.9 a tenth of malicious ones hide one another.
    crowd_quantile: Annotated[float, Field(ge=0.5, lt=1)] = 0.8
    # Who thumbs at random is far from honest already, so it need not be as improbable.
    contrary_chance: Chance = 1e-3
    contrary_people: Count = 3  # who compared: one enemy is not enough


class Opinion(NamedTuple):
    """One settled verdict that was not taken back."""

    identity: Identity
    asker: str
    adapter: str
    at: datetime
    up: bool | None = None  # of a thumb
    winner: str | None = None  # of a comparison: a, b, tie or both_bad
    rival_id: str | None = None


class Suspicion(NamedTuple):
    identity: Identity
    reason: str


class Thumbs(NamedTuple):
    up: int
    total: int


Crowd = Mapping[str, Mapping[str, Thumbs]]  # on each adapter, each rater's thumbs


def suspects(rules: Rules, opinions: list[Opinion]) -> list[Suspicion]:
    """All suspicions in all that was said, of each verdict one."""
    crowd, compared = crowd_of(opinions), _comparisons_of_each(opinions)
    found = list[Suspicion]()
    for own in _grouped(opinions, lambda one: one.identity.rater).values():
        about = {other for one in own for other in compared.get(one.identity.completion_id, ())}
        found += of_rater(rules, own, about, crowd)
    for said in _grouped(opinions, lambda one: one.identity.completion_id).values():
        found += crowded(rules, said)
    return _one_of_each(found)


def of_rater(
    rules: Rules, own: list[Opinion], comparisons: Iterable[Opinion], crowd: Crowd
) -> list[Suspicion]:
    """`own`: all that one rater said. `comparisons`: by anybody, of what this rater thumbed."""
    found = [
        *over_the_cap(rules, own),
        *in_bursts(rules, own),
        *one_sided(rules, own, crowd),
        *contrary(rules, own, comparisons),
    ]
    return _one_of_each(found)


def crowd_of(opinions: Iterable[Opinion]) -> Crowd:
    found: dict[str, dict[str, Thumbs]] = defaultdict(dict)
    for one in _thumbs(opinions):
        up, total = found[one.adapter].get(one.identity.rater, (0, 0))
        found[one.adapter][one.identity.rater] = Thumbs(up + bool(one.up), total + 1)
    return found


def over_the_cap(rules: Rules, own: Iterable[Opinion]) -> list[Suspicion]:
    """Of the completions that one rater judged in a UTC day, the first count."""
    found = list[Suspicion]()
    for day, said in _grouped(own, lambda one: one.at.astimezone(UTC).date()).items():
        judged = _by_completion(said)
        reason = f"{len(judged)} completions judged on {day}; at most {rules.a_day} a day count"
        for more in judged[rules.a_day :]:
            found += _all(more, reason)
    return found


def in_bursts(rules: Rules, own: Iterable[Opinion]) -> list[Suspicion]:
    """A person reads before they click: what is judged faster, but for the first few."""
    found, span = list[Suspicion](), timedelta(seconds=rules.burst_seconds)
    judged = _by_completion(own)
    times = [first.at for first, *_ in judged]
    for i, more in enumerate(judged):
        recent = i + 1 - bisect_left(times, times[i] - span)
        if recent > rules.in_a_burst:
            said = f"{recent} completions judged within {rules.burst_seconds:g} s"
            found += _all(more, f"{said}; at most {rules.in_a_burst} can be read")
    return found


def crowded(rules: Rules, said: Iterable[Opinion]) -> list[Suspicion]:
    """`said`: all about one completion. Many accounts that never asked for it; the asker stays."""
    outside = [one for one in said if one.identity.rater != one.asker]
    raters = len({one.identity.rater for one in outside})
    if raters <= rules.outsiders:
        return []
    reason = f"{raters} raters who did not ask for it; at most {rules.outsiders} count"
    return _all(outside, reason)


def one_sided(rules: Rules, own: Iterable[Opinion], crowd: Crowd) -> list[Suspicion]:
    """All thumbs of a rater who says hardly anything but one thing, where few others do.

    Over everything, or on one adapter, against the rate that most others do not exceed; each of
    them counts once, however loud. Not caught: a rater with few thumbs, one who votes one way in
    two cases of three, one whose side a fifth of the others share, as where many click only when
    angry. But an honest user who only clicks when angry is caught where few do.
    """
    thumbs = _thumbs(own)
    parts = _grouped(thumbs, lambda one: one.adapter)
    for part in [thumbs, *(parts[adapter] for adapter in sorted(parts))]:
        side = _side(rules, part)
        if side is not None and (reason := _improbable(rules, part, side, crowd)):
            return _all(thumbs, reason)
    return []


def contrary(
    rules: Rules, own: Iterable[Opinion], comparisons: Iterable[Opinion]
) -> list[Suspicion]:
    """All thumbs of a rater who likes what others found worse more than what they found better.

    Fisher's exact test: neither who finds everything bad nor who rates only what they like is
    contrary. Not caught: a rater of whose completions few were compared by others; with the
    default no fewer than 13 can be that improbable.
    """
    thumbs = {one.identity.completion_id: one for one in _thumbs(own)}
    raters = {one.identity.rater for one in thumbs.values()}
    others = [
        one
        for one in comparisons
        if one.identity.rater not in raters
        and (one.identity.completion_id in thumbs or one.rival_id in thumbs)
    ]
    if len({one.identity.rater for one in others}) < rules.contrary_people:
        return []
    score = _scores(others)
    lost = [bool(one.up) for name, one in thumbs.items() if score[name] < 0]
    won = [bool(one.up) for name, one in thumbs.items() if score[name] > 0]
    chance = drawn_at_least(sum(lost), len(lost), sum(lost + won), len(lost + won))
    if chance >= rules.contrary_chance:
        return []
    said = f"up on {sum(lost)} of {len(lost)} that others found worse, {sum(won)} of {len(won)}"
    rarely = f"by chance in less than {rules.contrary_chance:g}"
    return _all(thumbs.values(), f"{said} that they found better; {rarely}")


def _side(rules: Rules, thumbs: list[Opinion]) -> bool | None:
    """Which way all or nearly all of enough thumbs point."""
    if len(thumbs) >= rules.one_sided_least:
        for up in (True, False):
            if sum(one.up == up for one in thumbs) >= rules.one_sided_share * len(thumbs):
                return up
    return None


def _improbable(rules: Rules, thumbs: list[Opinion], up: bool, crowd: Crowd) -> str | None:
    """Why so many on one side are no chance; None if they may be, or where there is no crowd."""
    rater, adapters = thumbs[0].identity.rater, {one.adapter for one in thumbs}
    shares = {name: _share_of_others(rules, crowd.get(name, {}), rater, up) for name in adapters}
    expected = [share for one in thumbs if (share := shares[one.adapter]) is not None]
    same = sum(one.up == up for one in thumbs if shares[one.adapter] is not None)
    if len(expected) < rules.one_sided_least:
        return None
    # Adapters differ; with the mean of their rates the tail is no lighter (Hoeffding 1956).
    chance = binomial_tail(same, len(expected), fmean(expected))
    if chance >= rules.one_sided_chance:
        return None
    said = f"{same} of {len(expected)} thumbs {'up' if up else 'down'}"
    most = f"{rules.crowd_quantile:.0%} of others have at most {fmean(expected):.0%}"
    return f"{said} where {most}; by chance in less than {rules.one_sided_chance:g}"


def _share_of_others(
    rules: Rules, thumbs: Mapping[str, Thumbs], rater: str, up: bool
) -> float | None:
    """The share of this side, on one adapter, that most others do not exceed."""
    ups = [
        other.up / other.total
        for name, other in thumbs.items()
        if name != rater and other.total >= rules.crowd_thumbs
    ]
    if len(ups) < rules.crowd_least:
        return None
    shares = sorted(ups if up else [1 - rate for rate in ups])
    return shares[int(rules.crowd_quantile * len(shares))]


def _scores(comparisons: Iterable[Opinion]) -> Counter[str]:
    """Of each completion, how often it was found better less how often worse, or bad."""
    score = Counter[str]()
    for one in comparisons:
        a, b = _POINTS.get(one.winner or "tie", (0, 0))
        score[one.identity.completion_id] += a
        score[one.rival_id or ""] += b
    return score


def _comparisons_of_each(opinions: Iterable[Opinion]) -> dict[str, list[Opinion]]:
    found: dict[str, list[Opinion]] = defaultdict(list)
    for one in opinions:
        if one.rival_id:
            found[one.identity.completion_id].append(one)
            found[one.rival_id].append(one)
    return found


def _by_completion(said: Iterable[Opinion]) -> list[list[Opinion]]:
    """What was said of each completion, by the time of the first word."""
    ordered = sorted(said, key=lambda one: (one.at, one.identity))
    return list(_grouped(ordered, lambda one: one.identity.completion_id).values())


def _grouped(said: Iterable[Opinion], key: Callable[[Opinion], Key]) -> dict[Key, list[Opinion]]:
    found: dict[Key, list[Opinion]] = defaultdict(list)
    for one in said:
        found[key(one)].append(one)
    return found


def _thumbs(said: Iterable[Opinion]) -> list[Opinion]:
    return [one for one in said if one.up is not None]


def _all(said: Iterable[Opinion], reason: str) -> list[Suspicion]:
    return [Suspicion(one.identity, reason) for one in said]


def _one_of_each(found: Iterable[Suspicion]) -> list[Suspicion]:
    first: dict[Identity, Suspicion] = {}
    for one in found:
        first.setdefault(one.identity, one)
    return sorted(first.values())
