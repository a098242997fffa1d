"""Users who come to the arms of a split, one after the other, looked at after each.

The test as a product over users: `test_ratio.py` holds that it is the one that decides.
"""

from math import inf

import numpy as np

from ops.ratio import PRIOR
from tests.ops.simulated import Floats


def evidence(came: Floats, share: float) -> Floats:
    """After each user, (trials, users): how likely the mixture held each, beside the share."""
    on_canary = np.cumsum(came, 1) - came
    before = np.arange(came.shape[1])
    expected = (PRIOR * share + on_canary) / (PRIOR + before)
    each: Floats = np.log(np.where(came, expected / share, (1 - expected) / (1 - share)))
    return np.cumsum(each, 1)


def users_until_found(
    told: float, real: float, alpha: float, *, trials: int, users: int
) -> list[float]:
    rng, found = np.random.default_rng(1), list[float]()
    for _ in range(trials):
        e = evidence((rng.random((1, users)) < real).astype(float), told)[0]
        over = e >= np.log(1 / alpha)
        found.append(float(np.argmax(over)) + 1 if over.any() else inf)
    return found
