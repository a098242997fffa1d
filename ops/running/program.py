"""What a program is to those who start it and wait for it. Pure."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

Ready = Callable[[], Awaitable[None]]


class NotReady(Exception):
    """A program cannot work yet; the message says what is missing."""


@dataclass(frozen=True)
class Program:
    """`ready` returns once the program can work, and raises NotReady until then.

    Without `ready` it runs once, and what comes after it starts when it has ended with 0.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    ready: Ready | None
    nice: int = 0
    ready_timeout_seconds: float = 60


async def at_once() -> None:
    """Ready as soon as it runs: of a program on which nothing waits."""
