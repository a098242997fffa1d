"""The test on the split's shares: by hand, and simulated with a look after every user."""

from math import exp, inf

import numpy as np
import pytest

from ops.ratio import mismatch
from tests.ops.newcomers import evidence, users_until_found

SIMULATED = 2.5  # standard errors of a thousand trials


def test_what_is_simulated_is_the_test() -> None:
    came = (np.random.default_rng(2).random((5, 300)) < 0.3).astype(float)
    for trial, told in zip(came, evidence(came, 0.2), strict=True):
        for n in (1, 10, 300):
            canary = int(trial[:n].sum())
            assert mismatch([(0.2, canary, n - canary)], 0.05).log_e == pytest.approx(told[n - 1])


def test_one_user_by_hand() -> None:
    # The mixture's first user is as likely as the share says. After one on the canary, the next one
    # is likely to be there too: 50 + 1 of 100 + 1.
    assert mismatch([(0.5, 1, 0)], 0.05).log_e == pytest.approx(0)
    assert exp(mismatch([(0.5, 2, 0)], 0.05).log_e) == pytest.approx(51 / 101 / 0.5)


def test_revisions_add_up_and_nobody_is_no_evidence() -> None:
    one, two = (0.01, 40, 960), (0.25, 260, 740)
    apart = mismatch([one], 0.05).log_e + mismatch([two], 0.05).log_e
    assert mismatch([one, two], 0.05).log_e == pytest.approx(apart)
    assert mismatch([], 0.05) == (0, False)
    assert mismatch([(0.01, 0, 0)], 0.05) == (0, False)


def test_users_of_an_arm_that_was_promised_none_are_a_mismatch() -> None:
    assert mismatch([(0.0, 1, 99)], 0.05).found
    assert mismatch([(1.0, 99, 1)], 0.05).found
    assert not mismatch([(0.0, 0, 99), (1.0, 99, 0)], 0.05).found


def test_a_share_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match=r"share is 5\.0; expected 0 to 1"):
        mismatch([(5.0, 1, 1)], 0.05)


@pytest.mark.no_cover
@pytest.mark.parametrize("share", [0.01, 0.5])
@pytest.mark.parametrize("alpha", [0.05, 0.005])
def test_a_split_that_keeps_its_promise_rarely_alarms(share: float, alpha: float) -> None:
    found = users_until_found(share, share, alpha, trials=1000, users=10_000)
    alarms = sum(users < inf for users in found) / 1000
    assert alarms <= alpha + SIMULATED * (alpha * (1 - alpha) / 1000) ** 0.5


@pytest.mark.no_cover
def test_one_percent_that_is_one_and_a_half_is_found() -> None:
    found = users_until_found(0.01, 0.015, 0.005, trials=1000, users=40_000)
    assert np.median(found) < 10_000
    assert sum(users < inf for users in found) >= 995
