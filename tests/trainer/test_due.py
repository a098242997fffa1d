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
        (replace(READY, fruitless=200, rested_seconds=3599), False),
        (replace(READY, fruitless=200, rested_seconds=3600), True),
        (replace(READY, fruitless=199, rested_seconds=1), True),
        (replace(READY, new=50, waited_seconds=9999, fruitless=50, rested_seconds=3599), False),
        (replace(READY, new=50, waited_seconds=9999, fruitless=50, rested_seconds=3600), True),
    ],
)
def test_when_a_round_starts(standing: Standing, starts: bool) -> None:
    assert due(RULES, standing).is_due == starts


def test_why_or_why_not_is_told() -> None:
    assert due(RULES, READY).why == "200 new thumbs"
    few = replace(READY, new=49)
    assert due(RULES, few).why == "49 new thumbs; expected at least 50"
    wait = replace(READY, new=60)
    assert due(RULES, wait).why == ("60 new thumbs after 10 s; expected 200, or 50 after 3600 s")
    again = replace(READY, fruitless=200, rested_seconds=10)
    assert due(RULES, again).why == "200 new thumbs, of which a round made nothing; expected more"
    assert due(RULES, replace(READY, canary="tiny-v2")).why == "tiny-v2 is on trial"
