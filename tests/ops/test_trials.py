"""Whole trials by the rules as they are, simulated: what becomes of canaries, and how soon."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import inf
from statistics import median

import numpy as np
import pytest

from ops.decide import Decision, Hold, Promote, Rules, Step, Trial, Withdraw, decide
from ops.guardrails import GUARDRAILS
from ops.seen import Arm, Newcomers, Observation
from ops.served import Measure, Served
from ops.tally import Tally
from serving.split import Split
from tests.ops.simulated import Array

pytestmark = pytest.mark.no_cover

RULES = Rules(min_seconds=0.0, deadline_seconds=float("inf"), min_gain=0.0)
RULES = replace(RULES, limits=replace(RULES.limits, kl_stable=None, kl_base=None))
RATED = 0.2  # of the completions
TICK, SELDOM = 10, 25  # completions of the canary between two looks
ANSWERS_EACH = 10  # of a user, in the mean
FAILING = 0.02  # users, whose requests all fail
CANARY, STABLE = 0, 1


@dataclass
class Users:
    """On the side that the split says."""

    liked: tuple[float, float]  # of the canary's answers, and of stable's
    random: np.random.Generator
    tick: int = TICK
    share_percent: float = RULES.steps_percent[0]
    revision: int = 1
    served: Counter[int] = field(default_factory=Counter)
    in_step: dict[int, Served] = field(default_factory=lambda: defaultdict(Served))
    thumbs: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    came: dict[int, tuple[float, int, int]] = field(default_factory=dict)

    def ask(self) -> None:
        every = round(self.tick * 100 / self.share_percent)
        canary = int(self.random.binomial(every, self.share_percent / 100))
        for side, count in ((CANARY, canary), (STABLE, every - canary)):
            self.served[side] += count
            self._answer(side, count)
            rated = int(self.random.binomial(count, RATED))
            ups = int(self.random.binomial(rated, self.liked[side]))
            up, total = self.thumbs.get((side, self.revision), (0, 0))
            self.thumbs[side, self.revision] = (up + ups, total + rated)
        share = self.share_percent / 100
        _, mine, others = self.came.get(self.revision, (share, 0, 0))
        self.came[self.revision] = (share, mine + canary, others + every - canary)

    def _answer(self, side: int, count: int) -> None:
        """By users who are of one mind with themselves, whoever answers them."""
        served, usual, random = self.in_step[side], self.in_step[STABLE].waits.usual, self.random
        served.completions += count
        sizes = random.geometric(1 / ANSWERS_EACH, count)
        by = np.repeat(np.arange(count), sizes)[:count]
        users = 1 + max(by, default=-1)
        fails = (random.random(users) < FAILING)[by]
        _add(served, "error", by, fails)
        by = by[~fails]
        refused = random.random(len(by)) < random.beta(0.3, 9.7, users)[by]
        _add(served, "refusal", by, refused)
        tokens = random.lognormal(random.normal(4.0, 0.6, users)[by], 0.5)
        _add(served, "length", by, np.log(1 + tokens))
        seconds = random.lognormal(random.normal(0.0, 0.4, users)[by], 0.4)
        if usual < inf:
            _add(served, "slow", by, seconds > RULES.limits.latency_ratio * usual)
        for one in seconds:
            served.waits.add(one)

    def step(self, share_percent: float) -> None:
        self.share_percent, self.revision = share_percent, self.revision + 1
        self.in_step.clear()

    def seen(self) -> Observation:
        newcomers = [Newcomers(*one) for one in self.came.values()]
        return Observation(self._arm(STABLE), self._arm(CANARY), newcomers=newcomers)

    def _arm(self, side: int) -> Arm:
        mine = {at: Tally.rate(*said) for (of, at), said in self.thumbs.items() if of == side}
        return Arm(self.served[side], self.in_step[side], mine)


def _add(served: Served, measure: Measure, by: Array, values: Array) -> None:
    n, total = np.bincount(by), np.bincount(by, values)
    squares = values.astype(float) @ values
    parts = (np.count_nonzero(n), n.sum(), total.sum(), n @ n, n @ total, total @ total, squares)
    more = Tally._make(map(float, parts))
    setattr(served, measure, getattr(served, measure) + more)


def trial_of(
    liked: tuple[float, float], seed: int, most: int, tick: int = TICK
) -> tuple[Decision, int]:
    """How it ended, and after how many completions of the canary."""
    users = Users(liked, np.random.default_rng(seed), tick)
    while users.served[CANARY] < most:
        users.ask()
        split = Split(
            at=datetime.now(UTC),
            revision=users.revision,
            stable="m-v1",
            canary="m-v2",
            share_percent=users.share_percent,
            reason="so",
            by="ops",
        )
        found = decide(RULES, Trial(split, None, seconds=0.0, step_seconds=1.0), users.seen())
        if isinstance(found, Step):
            users.step(found.share_percent)
        elif not isinstance(found, Hold):
            return found, users.served[CANARY]
    return Hold("undecided"), users.served[CANARY]


def test_a_canary_of_20_points_less_is_withdrawn_within_320_completions() -> None:
    ended = [trial_of((0.5, 0.7), seed, most=5000) for seed in range(1000)]
    took = [completions for found, completions in ended if isinstance(found, Withdraw)]
    print(f"withdrawn {len(took)} of 1000, after {median(took)} completions in the median")
    assert len(took) >= 990
    assert median(took) <= 320
    assert sum(isinstance(found, Promote) for found, _ in ended) <= 5


@pytest.mark.parametrize("rate", [0.3, 0.7])
def test_an_equal_canary_is_neither_withdrawn_as_worse_nor_promoted_above_alpha(
    rate: float,
) -> None:
    ended = [trial_of((rate, rate), seed, 2500, SELDOM)[0] for seed in range(200)]
    found = Counter(type(one).__name__ for one in ended)
    print(found, Counter(one.reason.partition(":")[0] for one in ended))
    assert found["Withdraw"] <= 17  # 5% of 200 is 10; 2.3 errors of it
    assert sum(one.reason.startswith(GUARDRAILS) for one in ended) <= 5  # 0.5% each
    assert found["Promote"] <= 17
