from dataclasses import replace

import pytest

from trainer.due import Rules, Standing, due

RULES = Rules(min_examples=200, min_rows=50, interval_seconds=3600)
READY = Standing(canary=None, untried=False, new=200, waited_seconds=10)


@pytest.mark.parametrize(
    ("standing", "starts"),
    [
        (READY, True),
        (replace(READY, new=199), False),
        (replace(READY, canary="tiny-v2"), False),
        (replace(READY, untried=True), False),
        (replace(READY, untried=True, waited_seconds=60), True),
        (replace(READY, new=50, waited_seconds=3600), True),
        (replace(READY, new=49, waited_seconds=3600), False),
        (replace(READY, new=50, waited_seconds=3599), False),
    ],
)
def test_when_a_round_starts(standing: Standing, starts: bool) -> None:
    assert (due(RULES, standing) is not None) == starts
