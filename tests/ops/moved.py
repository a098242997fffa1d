"""Splits that were moved, without waiting for evidence."""

from ops import by_hand, history, marks
from ops.act import change_split, first_split
from serving.split import Split
from tests.ops.made import Place


def begin(place: Place, canary: str, share_percent: float = 10.0) -> Split:
    """It is published and gets its first share, as the controller does it."""
    before = first_split(place.log)
    place.publish(canary, parent=before.stable)
    changes = {"canary": canary, "share_percent": share_percent, "salt": canary}
    after = change_split(place.log, before, f"{canary} passed its gates", "ops", **changes)
    marks.follow(place.adapters, [before, after], after)
    history.record(place.log, "started", canary, after, after.reason)
    return after


def promote(place: Place, name: str) -> Split:
    begin(place, name)
    return by_hand.promote(place.log, place.adapters, "ann", name)
