"""Where one engine is asked for answers: while it has room, and no longer."""

from asyncio import FIRST_COMPLETED, Event, create_task, get_running_loop, sleep, timeout, wait
from collections.abc import Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

from trainer.engine import Engine, EngineAway, EngineRefuses, Wanted
from trainer.spare import Spare

LOOK_SECONDS = 0.1  # between two looks at what an engine has to do
_LOOK_TAKES = 2.0  # at most, in seconds: who cannot see does not draw
_BLIND_LOOKS = 20  # more than others, at an engine that says it has less to do than for us alone


@dataclass
class Answer:
    """As far as it came."""

    at: int  # its place among them
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)  # the engine's, of each
    whole: bool = False


class Work(Protocol):
    async def take(self) -> Answer:
        """One to begin or to go on with."""

    def give_back(self, answer: Answer) -> None: ...

    def wanted(self, answer: Answer) -> Wanted:
        """What there is still to ask."""

    def moved(self) -> None:
        """An answer has come further."""


class Desk:
    def __init__(self, engine: Engine, spare: Spare, work: Work, at_once: int) -> None:
        self._engine, self._spare, self._work, self._at_once = engine, spare, work, at_once
        self._open, self._shut = Event(), Event()
        self._asked = self._speaking = 0  # of our answers: under way, and heard of
        self._blind = 0
        self._counts = False  # it has said that it had something to do
        self._uncounted = 0  # vLLM takes some who hang up off its count twice
        self.why = f"{engine.url} is not looked at yet"

    def duties(self) -> list[Coroutine[Any, Any, None]]:
        return [self._watch(), *(self._draw() for _ in range(self._at_once))]

    async def _watch(self) -> None:
        while True:
            try:
                await self._look()
            except EngineAway as error:
                self._trouble(error)
            except TimeoutError:
                self._spare.leave()
                url = self._engine.url
                self._close(f"{url} does not tell within {_LOOK_TAKES:g} s what it has to do")
            await sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        asked, speaking = self._asked, self._speaking
        async with timeout(_LOOK_TAKES):
            counted = await self._engine.requests()
        self._check(counted, min(speaking, self._speaking))
        requests = counted + self._uncounted
        now = get_running_loop().time()
        if self._spare.saw(requests, max(asked, self._asked), now):
            self._shut.clear()
            self._open.set()
        else:
            self._close(f"{self._engine.url} works for users, or did: {self._spare.told}")

    def _check(self, counted: int, speaking: int) -> None:
        self._counts = self._counts or counted != 0
        self._uncounted = max(self._uncounted, -counted)  # it cannot work on less than nothing
        missing = speaking - counted - self._uncounted
        self._blind = self._blind + 1 if missing > 0 else max(self._blind - 1, 0)
        if self._blind < _BLIND_LOOKS:
            return
        if not self._counts:
            raise EngineRefuses(
                f"{self._engine.url}/load is {counted}, and {speaking} answers are under way; "
                "expected vLLM to be started with --enable-server-load-tracking"
            )
        self._uncounted += missing
        self._blind = 0

    def _trouble(self, error: EngineAway) -> None:
        self._spare.leave()
        self._uncounted = 0  # if it begins anew, so does its count
        self._close(str(error))

    def _close(self, why: str) -> None:
        self.why = why
        self._open.clear()
        self._shut.set()

    async def _draw(self) -> None:
        while True:
            await self._open.wait()
            answer = await self._work.take()
            try:
                if self._open.is_set():  # it may have closed while there was nothing to take
                    await self._while_open(self._go_on(answer))
            except EngineAway as error:
                self._trouble(error)
            finally:
                self._work.give_back(answer)

    async def _while_open(self, work: Coroutine[Any, Any, None]) -> None:
        """An engine that says nothing is left at once, too."""
        drawing, shut = create_task(work), create_task(self._shut.wait())
        try:
            await wait((drawing, shut), return_when=FIRST_COMPLETED)
        finally:
            shut.cancel()
            drawing.cancel()
            await wait((drawing,))
        if not drawing.cancelled():
            drawing.result()

    async def _go_on(self, answer: Answer) -> None:
        pieces, spoke = self._engine.answer(self._work.wanted(answer)), False
        self._asked += 1
        try:
            async with aclosing(pieces):
                async for piece in pieces:  # to the end: before it the engine counts it as ours
                    self._speaking += not spoke
                    spoke = True
                    answer.ids += piece.ids
                    answer.logprobs += piece.logprobs
                    answer.whole = piece.finish in ("stop", "length")
                    self._work.moved()
            if not answer.whole:
                raise EngineAway(f"{self._engine.url} broke an answer off")
        finally:
            self._asked -= 1
            self._speaking -= spoke
