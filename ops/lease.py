"""Which of several controllers leads: who holds the lease that lies on the log.

A claim holds where it is its holder's before, or where the one before has run out; all who read
the log in its order agree on that. Whoever leads without knowing that it no longer does cannot
write the split either: of two with one revision the first holds.
"""

import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field

from feedback.events import Event, Id, encode
from feedback.log import LEASE, Log, read_on
from ops.history import readable

_KEY = "lease"
_RENEWED = 3  # times before it runs out
_LAST = 100  # claims: those before them have run out, or were renewed


class Claim(Event):
    kind: Literal["claim"] = "claim"
    holder: Id
    seconds: Annotated[float, Field(ge=0, le=3600)]  # 0 gives it back

    @property
    def until(self) -> datetime:
        return self.at + timedelta(seconds=self.seconds)


def standing(claims: Iterable[Claim], before: Claim | None = None) -> Claim | None:
    """Pure: the one that holds, of claims in the order of the log."""
    for claim in claims:
        if before is None or claim.holder == before.holder or claim.at >= before.until:
            before = claim
    return before


class Lease:
    def __init__(
        self,
        log: Log,
        holder: str,
        seconds: float,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._log, self._holder, self._seconds, self._clock = log, holder, seconds, clock
        self._asking = threading.Lock()
        self._offsets: dict[int, int] | None = None
        self._standing: Claim | None = None

    def leads(self) -> bool:
        """Whether this one does; claimed where nobody does, renewed in time. Threads may ask."""
        with self._asking:
            return self._leads()

    def _leads(self) -> bool:
        now, held = self._clock(), self._read()
        mine = held is not None and held.holder == self._holder
        left = (held.until - now).total_seconds() if held else 0.0
        if left <= 0 or (mine and left < self._seconds * (1 - 1 / _RENEWED)):
            self._claim(self._seconds)
            held = self._read()
        return held is not None and held.holder == self._holder and self._clock() < held.until

    def give_back(self) -> None:
        with self._asking:
            held = self._read()
            if held and held.holder == self._holder:
                self._claim(0.0)

    @property
    def leader(self) -> str:
        return self._standing.holder if self._standing else "nobody"

    def _claim(self, seconds: float) -> None:
        claim = Claim(at=self._clock(), holder=self._holder, seconds=seconds)
        self._log.append(LEASE.name, _KEY, encode(claim))

    def _read(self) -> Claim | None:
        if self._offsets is None:
            ends = self._log.end(LEASE.name)
            self._offsets = {partition: max(end - _LAST, 0) for partition, end in ends.items()}
        records = read_on(self._log, LEASE.name, self._offsets)
        claims = (claim for _, claim in readable(records, (Claim,)))
        self._standing = standing(claims, self._standing)
        return self._standing
