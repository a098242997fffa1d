"""STORY. Fresh answers from the engines that serve, out of what users leave of them.

An answer that is broken off, for users' sake or because an engine died, is kept as far as it came
and gone on with: a token depends only on those before it, so nothing is drawn otherwise for it.
"""

import logging
from asyncio import Event, Queue, TaskGroup, get_running_loop, sleep
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from trainer.desk import LOOK_SECONDS, Answer, Desk
from trainer.endings import NobodyAnswers, RoundFailed
from trainer.engine import Engine, Wanted
from trainer.spare import Pace, Spare

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


async def drawn(
    engines: Sequence[tuple[Engine, Spare]], question: Question, pace: Pace
) -> list[Answer]:
    """One to each prompt. Waits for engines that are busy or away as long as the pace says."""
    if not question.prompts:
        return []
    work = _Work(question, pace)
    desks = [Desk(engine, spare, work, pace.at_once) for engine, spare in engines]
    duties = [duty for desk in desks for duty in desk.duties()]
    async with TaskGroup() as group:
        tasks = [group.create_task(work.ends_with(duty)) for duty in duties]
        tasks.append(group.create_task(work.ends_with(_grow_impatient(work, desks, pace))))
        await work.over.wait()
        for task in tasks:
            task.cancel()
    for _, spare in engines:
        spare.leave()
    if work.failure:
        raise work.failure
    return work.answers


class _Work:
    """What is still to be drawn, by whichever engine has room."""

    def __init__(self, question: Question, pace: Pace) -> None:
        self.question, self._pace = question, pace
        self.answers = [Answer(at) for at in range(len(question.prompts))]
        self.over = Event()
        self.failure: RoundFailed | None = None
        self._queue: Queue[Answer] = Queue()
        for answer in self.answers:
            self._queue.put_nowait(answer)
        self._left = len(self.answers)
        self._moved_at = self._next_at = get_running_loop().time()

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
        # One that was broken off behind its last token is whole, too.
        if not answer.whole and len(answer.ids) < self.question.most:
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


async def _grow_impatient(work: _Work, desks: Sequence[Desk], pace: Pace) -> None:
    next_word = _WORD_SECONDS
    while True:
        await sleep(LOOK_SECONDS)
        waited = work.waited_seconds
        if waited < _WORD_SECONDS:
            next_word = _WORD_SECONDS
        why = "; ".join(desk.why for desk in desks)
        if waited > pace.patience_seconds:
            told = f"no engine drew anything in {pace.patience_seconds:g} s, {work.told}"
            raise NobodyAnswers(f"{told}: {why}")
        if waited > next_word:
            next_word += _WORD_SECONDS
            _log.info("answers wait, %s: %s", work.told, why)
