"""STORY. Fresh answers from the engines that serve, out of what users leave of them.

An answer that is broken off, for users' sake or because an engine died, is kept as far as it came
and gone on with: a token depends only on those before it, so nothing is drawn otherwise for it.
"""

import logging
from asyncio import Event, Queue, TaskGroup, get_running_loop, sleep
from collections.abc import Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from random import Random
from typing import Any

from trainer.endings import EnginesAway, RoundFailed
from trainer.engine import Engine, EngineAway, EngineRefuses, Wanted
from trainer.spare import Pace, Spare

LOOK_SECONDS = 0.1  # at what an engine has to do
_BLIND_LOOKS = 20  # at an engine that says it has nothing to do, and works for us
_WORD_SECONDS = 60.0  # between two words of what is waited for
_log = logging.getLogger("trainer")


@dataclass(frozen=True)
class Question:
    """The same for all answers of one drawing but the prompts."""

    model: str
    prompts: Sequence[tuple[int, ...]]
    seed: int
    most: int  # tokens of an answer
    ends: list[int]  # tokens after which nothing comes


@dataclass
class Answer:
    """As far as it came."""

    at: int  # its place among them
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)  # the engine's, of each
    whole: bool = False


async def drawn(engines: Sequence[Engine], question: Question, pace: Pace) -> list[Answer]:
    """One to each prompt. Waits for engines that are busy or away as long as the pace says."""
    work = _Work(question, pace)
    desks = [_Desk(engine, work, pace) for engine in engines]
    duties = [duty for desk in desks for duty in desk.duties()]
    async with TaskGroup() as group:
        tasks = [group.create_task(work.ends_with(duty)) for duty in duties]
        tasks.append(group.create_task(work.ends_with(_grow_impatient(work, desks, pace))))
        await work.over.wait()
        for task in tasks:
            task.cancel()
    if work.failure:
        raise work.failure
    return work.answers


class _Work:
    """What is still to be drawn, by whichever engine has room."""

    def __init__(self, question: Question, pace: Pace) -> None:
        self.question, self._pace = question, pace
        self.answers = [Answer(at) for at in range(len(question.prompts))]
        self.over, self.failure = Event(), None if question.prompts else RoundFailed("no prompts")
        self._queue: Queue[Answer] = Queue()
        for answer in self.answers:
            self._queue.put_nowait(answer)
        self._left = len(self.answers)
        self._moved_at = self._next_at = get_running_loop().time()
        if not self.answers:
            self.over.set()

    @property
    def told(self) -> str:
        return f"{len(self.answers) - self._left} of {len(self.answers)} answers are drawn"

    @property
    def waited_seconds(self) -> float:
        return get_running_loop().time() - self._moved_at

    async def ends_with(self, duty: Coroutine[Any, Any, None]) -> None:
        try:
            await duty
        except RoundFailed as error:
            self.failure = error
            self.over.set()

    async def take(self) -> Answer:
        """One to begin or to go on with; not more of them in a second than are allowed."""
        answer = await self._queue.get()
        if self._pace.per_second:
            now = get_running_loop().time()
            self._next_at = max(self._next_at, now) + 1 / self._pace.per_second
            await sleep(self._next_at - now)
        return answer

    def give_back(self, answer: Answer) -> None:
        if not answer.whole:
            return self._queue.put_nowait(answer)
        self._left -= 1
        if not self._left:
            self.over.set()
        return None

    def wanted(self, answer: Answer) -> Wanted:
        """Each answer is drawn by itself, and so is each part of it."""
        said, told = self.question, len(answer.ids)
        seed = Random(f"{said.seed}/{answer.at}/{told}").randrange(2**31)
        ids = [*said.prompts[answer.at], *answer.ids]
        return Wanted(said.model, ids, seed, said.most - told, said.ends)

    def moved(self) -> None:
        self._moved_at = get_running_loop().time()


class _Desk:
    """Where one engine is asked."""

    def __init__(self, engine: Engine, work: _Work, pace: Pace) -> None:
        self._engine, self._work, self._pace = engine, work, pace
        self._spare, self._open = Spare(pace), Event()
        self._asked = self._speaking = 0  # of our answers: under way, and heard of
        self._blind = 0
        self.why = f"{engine.url} is not looked at yet"

    def duties(self) -> list[Coroutine[Any, Any, None]]:
        return [self._watch(), *(self._draw() for _ in range(self._pace.at_once))]

    async def _watch(self) -> None:
        while True:
            try:
                await self._look()
            except EngineAway as error:
                self._close(str(error))
            await sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        asked, speaking = self._asked, self._speaking
        requests = await self._engine.requests()
        self._check(requests, min(speaking, self._speaking))
        now = get_running_loop().time()
        if self._spare.saw(requests, max(asked, self._asked), now):
            self._open.set()
        else:
            self._close(f"{self._engine.url} works for users, or did a moment ago")

    def _check(self, requests: int, speaking: int) -> None:
        self._blind = self._blind + 1 if speaking > requests else 0
        if self._blind >= _BLIND_LOOKS:
            raise EngineRefuses(
                f"{self._engine.url}/load is {requests}, and {speaking} answers are under way; "
                "expected vLLM to be started with --enable-server-load-tracking"
            )

    def _close(self, why: str) -> None:
        self.why = why
        self._open.clear()

    async def _draw(self) -> None:
        while True:
            await self._open.wait()
            answer = await self._work.take()
            try:
                await self._go_on(answer)
            except EngineAway as error:
                self._close(str(error))
            finally:
                self._work.give_back(answer)

    async def _go_on(self, answer: Answer) -> None:
        pieces, spoke = self._engine.answer(self._work.wanted(answer)), False
        self._asked += 1
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    self._speaking += not spoke
                    spoke = True
                    answer.ids += piece.ids
                    answer.logprobs += piece.logprobs
                    self._work.moved()
                    answer.whole = piece.finish in ("stop", "length")
                    if answer.whole or not self._open.is_set():
                        return
            raise EngineAway(f"{self._engine.url} broke an answer off")
        finally:
            self._asked -= 1
            self._speaking -= spoke


async def _grow_impatient(work: _Work, desks: Sequence[_Desk], pace: Pace) -> None:
    next_word = _WORD_SECONDS
    while True:
        await sleep(LOOK_SECONDS)
        waited = work.waited_seconds
        if waited < _WORD_SECONDS:
            next_word = _WORD_SECONDS
        why = "; ".join(desk.why for desk in desks)
        if waited > pace.patience_seconds:
            told = f"no engine drew anything in {pace.patience_seconds:g} s, {work.told}"
            raise EnginesAway(f"{told}: {why}")
        if waited > next_word:
            next_word += _WORD_SECONDS
            _log.info("answers wait, %s: %s", work.told, why)
