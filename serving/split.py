"""Who gets what: the split of traffic between stable and canary. Door. Pure."""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from feedback.events import Event, Id, decode

SPLIT_KEY = "split"  # every revision lies under one key, so that they keep their order


class Split(Event):
    """One numbered revision; `pinned`: automation must leave it alone until told otherwise."""

    kind: Literal["split"] = "split"
    revision: Annotated[int, Field(ge=1)]
    stable: Id
    canary: Id | None = None
    share_percent: Annotated[float, Field(ge=0, le=100)] = 0.0
    salt: str = ""
    pinned: bool = False
    reason: Annotated[str, Field(min_length=1)]
    by: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _a_share_needs_a_canary(self) -> Self:
        if self.canary is None and self.share_percent != 0:
            raise ValueError(f"share_percent is {self.share_percent}; expected 0 without a canary")
        if self.canary == self.stable:
            raise ValueError(f"canary is {self.canary!r}, the same as stable")
        return self


class Choice(NamedTuple):
    adapter: str
    revision: int


def choose(split: Split, user: str) -> Choice:
    """The adapter for this user. A user stays on the canary as its share grows."""
    if split.canary and _percentile(split.salt, user) < split.share_percent:
        return Choice(split.canary, split.revision)
    return Choice(split.stable, split.revision)


def _percentile(salt: str, key: str) -> float:
    # Not hash(): it is salted per process, and replicas must agree.
    return int.from_bytes(blake2b(f"{salt}:{key}".encode(), digest_size=8).digest()) / 2**64 * 100


def decode_split(raw: bytes) -> Split:
    return decode(raw, (Split,))


def newest(splits: Iterable[Split], current: Split | None = None) -> Split | None:
    """The split in force. Of two with one revision the first on the log holds."""
    for split in splits:
        if current is None or split.revision > current.revision:
            current = split
    return current
