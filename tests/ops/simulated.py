"""A thousand trials at once, looked at after every thumb.

The test on arrays: `test_evidence.py` holds that it is the one that decides.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import log
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ops.evidence import SPREAD

Floats = NDArray[np.float64]
Array = NDArray[Any]
# (7, trials, revisions, 2): the numbers of a tally, of the canary and of stable
Tallies = Floats
Test = Callable[[Tallies], tuple[Floats, Floats]]  # the estimate, and how far off the bounds are

STEPS = (0.01, 0.05, 0.25, 0.5)
RATED = 0.2  # of the completions


@dataclass(frozen=True)
class Crowd:
    """Few users who give many thumbs, each of a liking of its own."""

    users: int
    likes: tuple[float, float]  # of a beta distribution
    busy: float = 0.0  # by which power some give more than others: of the n-th, n ** -busy


@dataclass(frozen=True)
class World:
    canary: float = 0.5
    stable: float = 0.5
    share: float | None = 0.5  # None: up the steps of a rollout
    drift: float = 0.0  # by which all rates have risen in the end
    crowd: Crowd | None = None  # in place of users who give one thumb each, at these rates


class Found(NamedTuple):
    """What a test said first; never both."""

    better: Array
    worse: Array
    canary: Floats  # thumbs it had by then, inf where nothing was found
    thumbs: Floats  # of both

    @property
    def told(self) -> tuple[float, float]:
        return float(self.better.mean()), float(self.worse.mean())

    @property
    def median(self) -> float:
        """Of the canary's thumbs, over all trials."""
        return float(np.median(self.canary))


def ours(alpha: float) -> Test:
    return lambda tallies: bounds(tallies, alpha)


def bounds(tallies: Tallies, alpha: float) -> tuple[Floats, Floats]:
    """`gain`, for values between 0 and 1."""
    n, total, nn, nt, tt, squares = tallies[1:]
    some = np.maximum(n, 1)
    mean = (total + 1) / (n + 2)
    apart = ((squares + 1) / (n + 2) - mean**2) / some
    padded = tt - 2 * mean * nt + mean**2 * nn + 2 * (nn / some) ** 2 * ((0.5 - mean) ** 2 + 0.25)
    excess = np.maximum(padded / some**2 - apart, 0)
    weight = np.where(n.min(-1) > 0, n.prod(-1) / np.maximum(n.sum(-1), 1), 0)
    whole = weight.sum(-1, keepdims=True)
    weight = weight / np.where(whole > 0, whole, 1)
    estimate = (weight * (mean[..., 0] - mean[..., 1])).sum(-1)
    shared = (weight[..., None] * np.sqrt(excess)).sum(-2) ** 2
    variance = (weight**2 * apart.sum(-1)).sum(-1) + shared.sum(-1)
    n, total, squares = (each * (weight > 0)[..., None] for each in (n, total, squares))
    n, total, squares = (each.sum((-2, -1)) for each in (n, total, squares))
    value = (squares + 1) / (n + 2) - ((total + 1) / (n + 2)) ** 2
    half = mixed(np.where(whole[:, 0] > 0, variance, 1), SPREAD**2 * value, alpha)
    return estimate, np.where(whole[:, 0] > 0, half, np.inf)


def mixed(variance: Floats, mixture: Floats | float, alpha: float) -> Floats:
    grown = variance + mixture
    needed = log(1 / (2 * alpha)) + np.log(grown / variance) / 2
    return np.sqrt(2 * variance * grown / mixture * needed)


def watched(
    world: World, looks: int, tests: Mapping[str, Test], *, seed: int, trials: int = 1000
) -> dict[str, Found]:
    """The tests look at the same thumbs. The first, if any, moves up the rollout's steps."""
    play = _Play(world, trials, np.random.default_rng(seed))
    found = {name: _nothing(trials) for name in tests}
    for look in range(looks):
        play.thumb(look / looks)
        told = {name: test(play.tallies) for name, test in tests.items()}
        for name, (estimate, half) in told.items():
            found[name] = _first(found[name], estimate, half, play)
        if world.share is None:
            play.climb(next(iter(told.values()))[0])
        if all((each.better | each.worse).all() for each in found.values()):
            break
    return found


def _nothing(trials: int) -> Found:
    never, nobody = np.full(trials, np.inf), np.zeros(trials, bool)
    return Found(nobody, nobody, never, never)


def _first(found: Found, estimate: Floats, half: Floats, play: "_Play") -> Found:
    news = ~(found.better | found.worse)
    better, worse = news & (estimate > half), news & (estimate < -half)
    n = play.tallies[1].sum(1)  # (trials, 2)
    return Found(
        found.better | better,
        found.worse | worse,
        np.where(better | worse, n[:, 0], found.canary),
        np.where(better | worse, n.sum(1), found.thumbs),
    )


class _Play:
    """All trials, one thumb further at a time."""

    def __init__(self, world: World, trials: int, rng: np.random.Generator) -> None:
        self.world, self.rng, self.all = world, rng, np.arange(trials)
        steps = len(STEPS) if world.share is None else 1
        self.tallies: Tallies = np.zeros((7, trials, steps, 2))
        self.step, self.completions = np.zeros(trials, int), np.zeros(trials)
        if crowd := world.crowd:
            self.likes = rng.beta(*crowd.likes, (trials, crowd.users))
            self.place = rng.random((trials, crowd.users))
            self.said = np.zeros((2, trials, steps, crowd.users))  # how many, and liked
            busy = np.arange(1.0, crowd.users + 1) ** -crowd.busy
            self.busy = np.cumsum(busy) / busy.sum()

    def thumb(self, progress: float) -> None:
        world, rng, trials = self.world, self.rng, len(self.all)
        share = np.array(STEPS)[self.step] if world.share is None else world.share
        chance = rng.random(trials)
        if world.crowd:
            user = np.searchsorted(self.busy, rng.random(trials))
            on_canary = self.place[self.all, user] < share
            up = chance < self.likes[self.all, user] + world.drift * progress
            self._add(on_canary, up.astype(float), self.said[:, self.all, self.step, user])
            self.said[:, self.all, self.step, user] += np.array([np.ones(trials), up])
        else:
            on_canary = rng.random(trials) < share
            rate = np.where(on_canary, world.canary, world.stable) + world.drift * progress
            self._add(on_canary, (chance < rate).astype(float), np.zeros((2, trials)))
        # Until one is rated.
        self.completions += np.where(on_canary, rng.geometric(RATED, trials), 0)

    def climb(self, estimate: Floats) -> None:
        """As the rules of `ops/decide.py` have it, but for the time that a step takes."""
        enough = (self.completions >= 50) & (self.tallies[1].sum(1)[:, 0] >= 5)
        up = enough & (estimate >= 0) & (self.step < len(STEPS) - 1)
        self.step = self.step + up
        self.completions[up] = 0

    def _add(self, on_canary: Array, up: Floats, before: Floats) -> None:
        n, liked = before
        more = (n + 1) * (liked + up) - n * liked, (liked + up) ** 2 - liked**2
        at = (slice(None), self.all, self.step, np.where(on_canary, 0, 1))
        self.tallies[at] += np.array([n == 0, n * 0 + 1, up, 2 * n + 1, *more, up])
