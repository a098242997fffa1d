"""All engines as one: the least busy answers, another one where it cannot, none that is sick.

Knows nothing of HTTP, nor of who asks.
"""

from asyncio import CancelledError
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, NamedTuple, Protocol

from serving.apis import Api, Part
from serving.errors import EngineAway, EngineBusy, EngineError, EngineRefused
from serving.turn import Headers

FAILURES = 3  # in a row, and an engine is left alone
REST_SECONDS = 5.0  # for so long; then one request tries it


class Engine(Protocol):
    @property
    def url(self) -> str: ...

    def answer(
        self, api: Api, adapter: str, body: dict[str, Any], request_id: str, headers: Headers = ()
    ) -> AsyncGenerator[list[Part]]: ...

    async def check(self) -> None: ...

    async def close(self) -> None: ...


class State(NamedTuple):
    busy: int
    well: bool


@dataclass
class _Place:
    """One engine, and how it fares."""

    engine: Engine
    busy: int = 0
    failures: int = 0
    rests_until: float = field(default=0.0)

    def failed(self, now: float) -> None:
        self.failures += 1
        if self.failures >= FAILURES:
            self.rests_until = now + REST_SECONDS

    def answers(self) -> None:
        """It has begun to: others may follow, and once it breaks off it rests again."""
        self.failures = min(self.failures, FAILURES - 1)

    def can_answer(self, now: float) -> bool:
        """After a rest one request goes first; the others follow when it came back."""
        return now >= self.rests_until and not (self.failures >= FAILURES and self.busy)


class Engines:
    """`most` requests at once go to each."""

    def __init__(
        self, engines: Sequence[Engine], most: int, clock: Callable[[], float] = monotonic
    ) -> None:
        self._places = [_Place(engine) for engine in engines]
        self._most, self._clock = most, clock

    async def answer(
        self, api: Api, adapter: str, body: dict[str, Any], request_id: str, headers: Headers = ()
    ) -> AsyncGenerator[list[Part]]:
        """From the least busy one; until it has begun to answer, another may take over."""
        tried: list[_Place] = []
        while True:
            place = self._next(tried)
            tried.append(place)
            begun = False
            answer = place.engine.answer(api, adapter, body, request_id, headers)
            place.busy += 1
            try:
                async for batch in answer:
                    if not begun:
                        begun = True
                        place.answers()
                    yield batch
                place.failures = 0
                return
            except (GeneratorExit, CancelledError):  # the reader has left
                place.failures = 0 if begun else place.failures
                await answer.aclose()
                raise
            except EngineError as error:
                self._note(place, error)
                if begun or not _another_may(error) or len(tried) == len(self._places):
                    raise
            finally:
                place.busy -= 1

    async def check(self) -> None:
        """Raises where none of them answers."""
        trouble: EngineError | None = None
        for place in self._places:
            try:
                await place.engine.check()
            except EngineError as error:
                trouble = trouble or error
            else:
                return
        if trouble:
            raise trouble

    async def close(self) -> None:
        for place in self._places:
            await place.engine.close()

    def states(self) -> dict[str, State]:
        """How many requests each has, and whether it may be asked."""
        now = self._clock()
        return {one.engine.url: State(one.busy, now >= one.rests_until) for one in self._places}

    def _next(self, tried: list[_Place]) -> _Place:
        now = self._clock()
        left = [one for one in self._places if one not in tried]
        # Rather a sick one than none at all: it may be well again.
        well = [one for one in left if one.can_answer(now)] or left
        free = [one for one in well if one.busy < self._most]
        if not free:
            raise EngineBusy(f"each engine has {self._most} requests, as many as it may")
        return min(free, key=lambda one: one.busy)

    def _note(self, place: _Place, error: EngineError) -> None:
        if isinstance(error, EngineAway) or error.status >= 500:
            place.failed(self._clock())
        else:
            place.failures = 0  # it is well enough to say no


def _another_may(error: EngineError) -> bool:
    """Nothing was said yet, and it is the engine's own trouble, not the request's."""
    if isinstance(error, EngineRefused):
        return error.status in (429, 502, 503)
    return isinstance(error, EngineAway)
