from datetime import UTC, datetime, timedelta

from ops.trial import trial
from serving.split import Split

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def split(revision: int, seconds: float, **more: object) -> Split:
    at = DAY + timedelta(seconds=seconds)
    known = {"canary": "m-v2", "share_percent": 10.0} | more
    return Split(at=at, revision=revision, stable="m-v1", reason="so", by="ops", **known)  # type: ignore[arg-type]  # words of a split


def test_a_trial_and_its_step_last_as_long_as_they_are_not_paused() -> None:
    splits = [
        split(1, 0, canary=None, share_percent=0.0),
        split(2, 100),
        split(3, 110, share_percent=50.0),
        split(4, 115, share_percent=50.0, pinned=True),
        split(5, 1115, share_percent=50.0),
    ]
    now = trial(splits, [], [], DAY + timedelta(seconds=1120))
    assert (now.seconds, now.step_seconds) == (20, 10)
