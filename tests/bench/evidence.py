"""What tests on thumbs find, and when, where they are looked at after every thumb.

`python -m tests.bench.evidence [--trials 1000] [--looks 6000]`: two Markdown tables. Beside ours a
z test made for one look, and a plain mSPRT (Johari et al. 2017, a normal mixture, the variance of
a thumb known), on the same thumbs. Both take thumbs as independent, and all steps together.
"""

import argparse
from collections.abc import Iterable
from math import inf
from statistics import NormalDist

import numpy as np

from tests.ops.newcomers import users_until_found
from tests.ops.simulated import (
    RATED,
    Crowd,
    Floats,
    Found,
    Tallies,
    Test,
    World,
    mixed,
    ours,
    watched,
)

ALPHA = 0.05  # a side
Z = NormalDist().inv_cdf(1 - ALPHA)
SPREAD = 0.15  # of the plain mSPRT, in points
PROMISED = (0.01, 0.05, 0.25, 0.5, None)
WORLDS = (
    *(World(rate, rate) for rate in (0.05, 0.5, 0.95)),
    World(0.3, 0.3, drift=0.4),
    World(0.5, 0.5, None),
    World(0.3, 0.3, None, drift=0.4),
    *(World(crowd=Crowd(240, likes)) for likes in ((20, 20), (2, 2), (1, 1))),
    World(crowd=Crowd(1000, (1, 1), busy=1.0)),
    *(World(0.5 + more, 0.5) for more in (0.05, 0.1, 0.2)),
    *(World(0.5 + more, 0.5, None) for more in (0.05, 0.1, 0.2)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--looks", type=int, default=6000)
    asked = parser.parse_args()
    print("| thumbs up, 70% → 50%, the canary's share | found worse | found better | its thumbs |")
    print("|---|---|---|---|")
    for share in PROMISED:
        print(_promise(share, asked.trials), flush=True)
    print(f"\n| {asked.looks:,} thumbs | ours | z, peeked at | mSPRT, known variance |")
    print("|---|---|---|---|")
    for world in WORLDS:
        print(_compared(world, asked.looks, asked.trials), flush=True)
    users = users_until_found(told=0.01, real=0.015, alpha=0.005, trials=asked.trials, users=40_000)
    print(f"\n1% of the users told, 1.5% real, alpha 0.5%: found after {_quantiles(users)} users")


def _promise(share: float | None, trials: int) -> str:
    world = World(canary=0.5, stable=0.7, share=share)
    looks = 20_000 if share is None else max(1000, int(200 / share))
    found = watched(world, looks, {"ours": ours(ALPHA)}, seed=1, trials=trials)["ours"]
    better, worse = found.told
    completions = found.median / RATED
    label = "1, 5, 25, 50%" if share is None else f"{share:.0%}"
    return (
        f"| {label} | {worse:.1%} | {better:.1%} | {_quantiles(found.canary)}: "
        f"{completions:.0f} completions |"
    )


def _compared(world: World, looks: int, trials: int) -> str:
    tests = {"ours": ours(ALPHA), "z": _z, "mSPRT": _known(world)}
    found = watched(world, looks, tests, seed=1, trials=trials)
    return " | ".join((f"| {_label(world)}", *(_told(each) for each in found.values()))) + " |"


def _label(world: World) -> str:
    if crowd := world.crowd:
        busy = ", few busy" if crowd.busy else ""
        return f"{crowd.users} users, likes of Beta{crowd.likes}{busy}"
    rates = f"{world.canary:.0%} against {world.stable:.0%}"
    drift = f", rising by {world.drift:.0%}" if world.drift else ""
    return f"{rates}{drift}, {'in steps' if world.share is None else 'half each'}"


def _told(found: Found) -> str:
    better, worse = found.told
    median = f", after {found.median:.0f}" if found.median < inf else ""
    return f"{better:.1%} better, {worse:.1%} worse{median}"


def _quantiles(found: Iterable[float]) -> str:
    low, middle, high = np.quantile(np.array([*found]), (0.1, 0.5, 0.9), method="lower")
    return f"{middle:.0f} ({low:.0f} to {high:.0f})"


def _z(tallies: Tallies) -> tuple[Floats, Floats]:
    n, rate = _pooled(tallies)
    return rate[:, 0] - rate[:, 1], Z * np.sqrt((rate * (1 - rate) / n).sum(1))


def _known(world: World) -> Test:
    rate = world.stable + world.drift / 2

    def test(tallies: Tallies) -> tuple[Floats, Floats]:
        n, rates = _pooled(tallies)
        return rates[:, 0] - rates[:, 1], mixed(
            rate * (1 - rate) * (1 / n).sum(1), SPREAD**2, ALPHA
        )

    return test


def _pooled(tallies: Tallies) -> tuple[Floats, Floats]:
    """How many thumbs and the rate, of each arm, (trials, 2). Without thumbs nothing is far off."""
    n, total = tallies[1].sum(1), tallies[2].sum(1)
    few = np.where(n < 20, 1e-9, n)  # the least that textbooks let a z test have
    return few, np.where(n < 20, 0.5, total / np.maximum(n, 1))


if __name__ == "__main__":
    main()
