"""Watches for a round to be due. Knows nothing of how a round is run, nor of torch."""

from dataclasses import dataclass
from datetime import UTC, datetime

from trainer.adapters import Manifest
from trainer.due import Rules, Standing, due
from trainer.newest import Newest
from trainer.parent import SplitReader
from trainer.tally import Tally


@dataclass(frozen=True)
class Start:
    """A round that is due, and why."""

    parent: str
    why: str


class Loop:
    def __init__(
        self, rules: Rules, split: SplitReader, tally: Tally, newest: Newest, *, began: datetime
    ) -> None:
        self._rules, self._split, self._tally, self._newest = rules, split, tally, newest
        self._began = began  # stands in for the day of the newest adapter where there is none
        self.waiting = 0  # new lessons that no round has used
        self._fruitless, self._rests_since = 0, datetime.min.replace(tzinfo=UTC)
        self.why = "nobody has looked yet"  # a round should start, or should not

    def look(self, now: datetime) -> Start | None:
        serving, newest = self._split.serving(), self._newest.manifest()
        # The newest, not the stable one: a withdrawn adapter is not made again from the same data.
        self.waiting = self._tally.lessons(serving.stable, newest.watermark if newest else {})
        if self.waiting < self._fruitless:  # an adapter has used them, or another one serves
            self._fruitless = 0
        waited = now - (newest.created_at if newest else self._began)
        standing = Standing(
            canary=serving.canary,
            untried=newest is not None and self._may_be_tried(newest, serving.stable),
            new=self.waiting,
            waited_seconds=waited.total_seconds(),
            fruitless=self._fruitless,
            rested_seconds=(now - self._rests_since).total_seconds(),
        )
        is_due, self.why = due(self._rules, standing)
        return Start(serving.stable, self.why) if is_due else None

    def made_nothing(self, now: datetime) -> None:
        """What made no adapter of these lessons would only do so again."""
        self._fruitless, self._rests_since = self.waiting, now

    def _may_be_tried(self, newest: Manifest, stable: str) -> bool:
        ours = newest.passed and newest.parent == stable
        return ours and not self._split.tried(newest.name)
