"""Who is let in, for what, and how often. Knows nothing of what they ask."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

from serving.errors import Forbidden, NotLetIn
from serving.keys import Key, Scope
from serving.limits import InFlight, Rates


class Keys(Protocol):
    def find(self, secret: str) -> tuple[str, Key] | None: ...


@dataclass(frozen=True)
class Caller:
    """`app` is the name of the key that was shown; None where the door is open to all."""

    app: str | None = None
    key: Key | None = None

    def may(self, scope: Scope) -> bool:
        return self.key is None or self.key.may(scope)


@dataclass(frozen=True)
class Door:
    keys: Keys | None  # None: open to all
    in_flight: InFlight
    rates: Rates = field(default_factory=Rates)
    clock: Callable[[], float] = monotonic

    def caller(self, headers: Mapping[str, str], scope: Scope) -> Caller:
        """Whoever shows a key that may do this, and has not done so too often."""
        if self.keys is None:
            return Caller()
        caller = self._known(headers)
        assert caller.key is not None
        if not caller.may(scope):
            may = " and ".join(sorted(caller.key.scopes)) or "nothing"
            raise Forbidden(f"the key of {caller.app!r} is for {may}; expected one for {scope}")
        if caller.key.requests_per_minute:
            per_minute, who = caller.key.requests_per_minute, f"app {caller.app!r}"
            self.rates.take(hash(who), per_minute, self.clock(), called=who)
        return caller

    def one_more(self, caller: Caller, user: str | None) -> AbstractContextManager[None]:
        """While it lasts, one more request is being answered."""
        if user and caller.key and caller.key.user_requests_per_minute:
            # Not the user's name: errors are logged.
            who = f"this user of {caller.app!r}"
            per_minute = caller.key.user_requests_per_minute
            self.rates.take(hash((caller.app, user)), per_minute, self.clock(), called=who)
        return self.in_flight

    def _known(self, headers: Mapping[str, str]) -> Caller:
        assert self.keys is not None
        kind, _, secret = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not secret:
            raise NotLetIn("no API key was shown; expected the header Authorization: Bearer KEY")
        found = self.keys.find(secret.strip())
        if found is None:
            raise NotLetIn("the API key is not known here")
        return Caller(*found)
