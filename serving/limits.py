"""How much each caller may ask, and all together, and how long an engine may take. Pure.

A rate is a bucket that fills steadily: a minute's worth may be asked at once.
"""

from collections import OrderedDict
from dataclasses import dataclass

from serving.errors import TooMany

MOST_BUCKETS = 100_000  # callers remembered; whoever was away longest begins anew


@dataclass(frozen=True)
class Patience:
    silence_seconds: float  # between two signs of life of an engine
    answer_seconds: float  # until the end of its answer


@dataclass
class _Bucket:
    left: float
    at: float


class Rates:
    """Requests a minute, each caller by a name or the hash of one; `called` is told to them."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[int | str, _Bucket] = OrderedDict()

    def take(
        self, caller: int | str, per_minute: int, now: float, called: str | None = None
    ) -> None:
        bucket = self._buckets.get(caller) or self._new(caller, per_minute, now)
        self._buckets.move_to_end(caller)
        bucket.left = min(per_minute, bucket.left + (now - bucket.at) * per_minute / 60)
        bucket.at = now
        if bucket.left < 1:
            wait = (1 - bucket.left) * 60 / per_minute
            who = called or caller
            raise TooMany(f"{who} asked {per_minute} times in a minute, the most it may", wait)
        bucket.left -= 1

    def _new(self, caller: int | str, per_minute: int, now: float) -> _Bucket:
        if len(self._buckets) >= MOST_BUCKETS:
            self._buckets.popitem(last=False)
        bucket = self._buckets[caller] = _Bucket(per_minute, now)
        return bucket


class InFlight:
    """One more while it lasts. At most so many at once; the next one is told to come again."""

    def __init__(self, most: int) -> None:
        self._most, self.now = most, 0

    def __enter__(self) -> None:
        if self.now >= self._most:
            raise TooMany(f"{self._most} requests are being answered, the most at once", 1)
        self.now += 1

    def __exit__(self, *_: object) -> None:
        self.now -= 1
