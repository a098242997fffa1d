"""What malicious users do to the labels, without the guard and with it: simulated, no server.

`python -m tests.bench.poisoning` prints the tables of docs/experiments.md: of several seeds the
mean, the least and the most.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import exp, log
from random import Random
from statistics import fmean
from typing import NamedTuple

from feedback.examples import Identity
from feedback.guard import Opinion, Rules, suspects

SEEDS, SHARES = range(5), (0.01, 0.05, 0.10)
START = datetime(2026, 11, 1, tzinfo=UTC)
LIKED = {"stable": 0.54, "canary": 0.35}  # how often an answer pleases: the canary is worse


@dataclass(frozen=True)
class Habits:
    """Of the honest. As in the demo, two answers in five are rated, one thumb in ten slips."""

    users: int = 600
    days: int = 14
    spread: float = 1.5  # of the logarithm of requests a day; their median is 1
    differ: float = 0.0  # how far tastes differ: the spread of the log-odds of liking an answer
    rated: float = 0.4
    slips: float = 0.1
    angry: float = 0.1  # so many of the users only ever click down
    compared: float = 0.05  # of requests: by the asker,
    reviewed: float = 0.5  # and these of them by another honest user too


class Answer(NamedTuple):
    id: str
    asker: str
    adapter: str
    at: datetime
    liked: bool  # by the asker: the hidden truth


class Said(NamedTuple):
    opinion: Opinion
    wrong: bool  # other than the hidden truth
    honest: bool  # who said it


Vote = Callable[[Habits, Random, Answer], bool | None]


def honestly(habits: Habits, random: Random, answer: Answer) -> bool | None:
    seems_good = answer.liked != (random.random() < habits.slips)
    return seems_good if random.random() < habits.rated else None


def when_angry(habits: Habits, random: Random, answer: Answer) -> bool | None:
    return None if (up := honestly(habits, random, answer)) else up


def flipped(habits: Habits, random: Random, answer: Answer) -> bool | None:
    return not answer.liked if random.random() < habits.rated else None


def all_flipped(habits: Habits, random: Random, answer: Answer) -> bool | None:
    return not answer.liked


def canary_up(habits: Habits, random: Random, answer: Answer) -> bool | None:
    return True if answer.adapter == "canary" else honestly(habits, random, answer)


@dataclass(frozen=True)
class Manner:
    """How somebody goes about it; the times are means."""

    vote: Vote
    pace: float = 1.0  # requests, against the ordinary
    session: float = 5.0  # requests in a row
    gap_seconds: float = 60.0
    reading_seconds: float = 20.0
    targets: int = 0  # bad answers to others that each of them votes up


HONEST, ANGRY = Manner(honestly), Manner(when_angry)
STRATEGIES = {
    "flip quietly": Manner(flipped),
    "flip, ten times as active": Manner(flipped, pace=10),
    "flip in bursts of 30": Manner(all_flipped, session=30, gap_seconds=1, reading_seconds=1),
    "sock puppets, 10 answers": Manner(honestly, pace=0, targets=10),
    "canary up, else honest": Manner(canary_up),
}


def simulate(habits: Habits, manner: Manner, share: float, seed: int) -> list[Said]:
    """All that is said in these days while `share` of all users are malicious, in this manner."""
    random, said, answers = Random(f"honest {seed}"), list[Said](), list[Answer]()
    for i in range(habits.users):
        own = list(_requests(habits, HONEST, f"user-{i}", random))
        said += _judged(habits, ANGRY if i < habits.angry * habits.users else HONEST, own, random)
        answers += own
    random = Random(f"malicious {seed}")  # so that the honest ones stay as they were
    bad = [f"bad-{i}" for i in range(round(habits.users * share / (1 - share)))]
    for name in bad:
        said += _judged(habits, manner, list(_requests(habits, manner, name, random)), random)
    worst = [one for one in answers if one.adapter == "canary" and not one.liked]
    for answer in random.sample(worst, manner.targets):
        said += [_thumb(answer, name, True, 3600 * random.random(), False) for name in bad]
    return said


def _requests(habits: Habits, manner: Manner, name: str, random: Random) -> Iterator[Answer]:
    """In sessions; each week the user is drawn anew to stable or canary."""
    a_day = manner.pace * random.lognormvariate(0, habits.spread)
    taste = random.gauss(0, habits.differ)
    on = [random.choice(list(LIKED)) for _ in range(0, habits.days, 7)]
    day, number = 0.0, 0
    while a_day and (day := day + random.expovariate(a_day / manner.session)) < habits.days:
        at, adapter, goes_on = START + timedelta(days=day), on[int(day // 7)], True
        while goes_on:
            liked = random.random() < _shifted(LIKED[adapter], taste)
            yield Answer(f"{name}/{number}", name, adapter, at, liked)
            number, goes_on = number + 1, random.random() > 1 / manner.session
            at += timedelta(seconds=random.expovariate(1 / manner.gap_seconds))


def _shifted(rate: float, by: float) -> float:
    return 1 / (1 + exp(-log(rate / (1 - rate)) - by))


def _judged(habits: Habits, manner: Manner, own: list[Answer], random: Random) -> Iterator[Said]:
    honest = manner in (HONEST, ANGRY)
    for answer in own:
        seconds = random.expovariate(1 / manner.reading_seconds)
        up = manner.vote(habits, random, answer)
        if up is not None:
            yield _thumb(answer, answer.asker, up, seconds, honest)
        if random.random() < habits.compared:
            yield from _compared(habits, answer, seconds, honest, random)


def _thumb(answer: Answer, rater: str, up: bool, seconds: float, honest: bool) -> Said:
    said = _opinion(answer, "thumb", rater, seconds)._replace(up=up)
    return Said(said, up != answer.liked, honest)


def _compared(
    habits: Habits, answer: Answer, seconds: float, honest: bool, random: Random
) -> Iterator[Said]:
    """With an answer of the other adapter: by the asker, who lies if malicious, and a reviewer."""
    (other,) = LIKED.keys() - {answer.adapter}
    liked = (answer.liked, random.random() < LIKED[other])
    raters = [(answer.asker, honest, seconds)]
    if random.random() < habits.reviewed:
        raters.append((f"user-{random.randrange(habits.users)}", True, 86400 * random.random()))
    for rater, fair, later in raters:
        wrong = not fair or random.random() < habits.slips
        a, b = (not one for one in liked) if wrong else liked
        winner = ("tie" if a else "both_bad") if a == b else "a" if a else "b"
        said = _opinion(answer, "comparison", rater, later)
        yield Said(said._replace(winner=winner, rival_id=f"{answer.id}.1"), wrong, fair)


def _opinion(answer: Answer, slot: str, rater: str, seconds: float) -> Opinion:
    at = answer.at + timedelta(seconds=seconds)
    return Opinion(Identity(answer.id, slot, rater), answer.asker, answer.adapter, at)


class Harm(NamedTuple):
    wrong: float  # share of the thumbs that count
    stable: float  # its liked rate, less what the honest alone say
    canary: float


class Result(NamedTuple):
    theirs: float  # share of malicious verdicts in all
    without: Harm
    guarded: Harm
    caught: float  # share of the malicious verdicts
    hit: float  # share of the honest verdicts


def measure(said: list[Said], rules: Rules) -> Result:
    found = {one.identity for one in suspects(rules, [one.opinion for one in said])}
    left = [one for one in said if one.opinion.identity not in found]
    bad, good = ([one for one in said if one.honest == honest] for honest in (False, True))
    return Result(
        len(bad) / len(said),
        _harm(said, good),
        _harm(left, good),
        _share(one.opinion.identity in found for one in bad),
        _share(one.opinion.identity in found for one in good),
    )


def _harm(counted: list[Said], honest: list[Said]) -> Harm:
    wrong = _share(one.wrong for one in counted if one.opinion.up is not None)
    stable, canary = (_liked(counted, name) - _liked(honest, name) for name in LIKED)
    return Harm(wrong, stable, canary)


def _liked(said: list[Said], adapter: str) -> float:
    return _share(o.up for o, _, _ in said if o.adapter == adapter and o.up is not None)


def _share(claims: Iterable[bool]) -> float:
    found = list(claims)
    return sum(found) / len(found) if found else 0.0


def harm() -> Iterator[str]:
    columns = "their share of verdicts", "labels wrong", "stable moved", "canary moved"
    yield _row("strategy", "users", *columns, "caught", "honest verdicts hit")
    for name, manner in {"nobody": HONEST, **STRATEGIES}.items():
        for share in SHARES if name != "nobody" else (0.0,):
            seen = _repeated(Habits(), manner, share, Rules())
            without, guarded = ([one[i] for one in seen] for i in (1, 2))
            pairs = zip(zip(*without, strict=True), zip(*guarded, strict=True), strict=True)
            moved = [f"{_spread(before)} → {_spread(after)}" for before, after in pairs]
            theirs = _spread([one.theirs for one in seen])
            caught, hit = _caught(seen)
            yield _row(name, f"{share:.0%}", theirs, *moved, caught if share else "-", hit)


def honest_users_alone() -> Iterator[str]:
    yield _row("honest users alone", *REASONS, "users hit")
    for name, habits in CROWDS.items():
        shares: dict[str, list[float]] = {rule: [] for rule in [*REASONS, "users hit"]}
        for seed in SEEDS:
            opinions = [one.opinion for one in simulate(habits, HONEST, 0, seed)]
            found = suspects(Rules(), opinions)
            for rule, words in REASONS.items():
                shares[rule].append(sum(words in one.reason for one in found) / len(opinions))
            shares["users hit"].append(len({one.identity.rater for one in found}) / habits.users)
        yield _row(name, *map(_spread, shares.values()))


# Each rule by words of its reasons.
REASONS = {
    "cap": "a day count",
    "burst": "be read",
    "crowded": "ask for it",
    "one-sided": "of others",
    "contrary": "found worse",
}
CROWDS = {
    "one taste, nobody only angry": Habits(angry=0),
    "10% only angry": Habits(),
    "30% only angry": Habits(angry=0.3),
    "tastes differ, spread 1": Habits(differ=1, angry=0),
    "tastes differ, spread 2": Habits(differ=2, angry=0),
}


def single_numbers() -> Iterator[str]:
    """What they change, each in one strategy, of 5% of users."""
    yield _row("strategy", "number", "caught", "honest verdicts hit")
    for compared in (0.05, 0.2, 0.5):
        name, habits = "flip quietly", replace(Habits(), compared=compared)
        seen = _repeated(habits, STRATEGIES[name], 0.05, Rules())
        yield _row(name, f"{compared:.0%} of requests compared", *_caught(seen))
    for a_day in (20, 50, 100, 200):
        name = "flip, ten times as active"
        seen = _repeated(Habits(), STRATEGIES[name], 0.05, Rules(a_day=a_day))
        yield _row(name, f"at most {a_day} a day", *_caught(seen))
    for quantile in (0.5, 0.8, 0.9):
        name, habits = "canary up, else honest", Habits(angry=0.3)
        seen = _repeated(habits, STRATEGIES[name], 0.1, Rules(crowd_quantile=quantile))
        yield _row(name, f"10% of users, 30% only angry, quantile {quantile}", *_caught(seen))


def _repeated(habits: Habits, manner: Manner, share: float, rules: Rules) -> list[Result]:
    return [measure(simulate(habits, manner, share, seed), rules) for seed in SEEDS]


def _caught(seen: list[Result]) -> tuple[str, str]:
    return _spread([one.caught for one in seen]), _spread([one.hit for one in seen])


def _spread(shares: Sequence[float]) -> str:
    mean, least, most = (100 * one for one in (fmean(shares), min(shares), max(shares)))
    return f"{mean:z.1f} ({least:z.1f} to {most:z.1f})"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    for table in (harm, honest_users_alone, single_numbers):
        head, *rows = table()
        print(head, "|---" * (head.count("|") - 1) + "|", *rows, "", sep="\n")
