"""Calls that are to fail, so that a test sees what breaks half way."""

from dataclasses import dataclass

from tests.kubernetes.calls import Call
from tests.kubernetes.kinds import Resource
from tests.kubernetes.refusals import Fault as Broken


@dataclass
class Fault:
    verb: str
    resource: Resource
    name: str | None  # None is any
    left: int
    status: int

    def meets(self, call: Call) -> None:
        """Fails the call, as often as it was asked to."""
        same = (call.verb, call.resource) == (self.verb, self.resource)
        if self.left and same and self.name in (None, call.named.name):
            self.left -= 1
            raise Broken(self.status)
