"""What Alertmanager says, and what is done about it: roll back what an alert is about."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, Field

from feedback.log import Log
from ops import history
from ops.by_hand import Fields, NothingToDo, change, way_back
from ops.trial import action
from serving.split import Split

BY = "alertmanager"
LABEL = "thumbwheel_action"
_WHO_SERVES = ("started", "promoted", "withdrawn", "rolled_back")


class Alert(BaseModel):
    """One of a notification. What we do not need of it may be anything."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    began_at: AwareDatetime = Field(alias="startsAt")

    @property
    def asks(self) -> bool:
        return self.status == "firing" and self.labels.get(LABEL) == "rollback"

    @property
    def told(self) -> str:
        name = self.labels.get("alertname", "an alert")
        return f"{name}: {self.annotations.get('summary', 'no summary')}"


class Notification(BaseModel):
    """The body of Alertmanager's webhook, version 4."""

    alerts: list[Alert]


def heed(log: Log, adapters: Path, alert: Alert, reach_seconds: float) -> Split:
    """Take the canary's traffic or, with no canary, undo a promotion that is not older than that.

    An alert is told again and again, and may be of a time before what serves now: then there is
    NothingToDo. Of a paused split only a canary is withdrawn.
    """

    about = alert.labels.get("canary")

    def asked(split: Split) -> Fields:
        if about not in (None, split.canary):
            raise NothingToDo(f"it is about {about}, and the canary is {split.canary}")
        changed, how = _last_change(history.splits(log))
        if alert.began_at <= changed.at:
            told = f"it began at {alert.began_at:%H:%M:%S}, and at {changed.at:%H:%M:%S}"
            raise NothingToDo(f"{told} revision {changed.revision} changed who serves")
        if split.canary:
            return way_back(split, adapters, split.stable, pinned=split.pinned)
        if split.pinned or how != "promoted":
            raise NothingToDo(f"no canary, and revision {changed.revision} is no promotion to undo")
        if datetime.now(UTC) - changed.at > timedelta(seconds=reach_seconds):
            told = f"promoted at {changed.at:%Y-%m-%d %H:%M:%S}"
            raise NothingToDo(f"{split.stable} was {told}, too long ago to be undone by an alert")
        return way_back(split, adapters, None, pinned=False)

    return change(log, BY, alert.told, asked, adapters=adapters)


def _last_change(splits: list[Split]) -> tuple[Split, str]:
    """The latest revision that changed who serves, and how."""
    found: tuple[Split, Any] = (splits[0], "first")
    for before, after in pairwise(splits):
        if (how := action(before, after)) in _WHO_SERVES:
            found = (after, how)
    return found
