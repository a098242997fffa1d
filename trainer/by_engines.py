"""Fresh answers drawn by the engines that serve, for all processes of a round."""

from asyncio import run
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

import httpx

from trainer.asking import Answers, Ask
from trainer.batch import Text
from trainer.course import Places
from trainer.drafts import put_draft
from trainer.engine import Engine
from trainer.policy import Policy
from trainer.ranks import Ranks
from trainer.sampler import Answer, Question, drawn
from trainer.spare import Engines

T = TypeVar("T")
_TURN_SECONDS = 60.0  # less than one process waits for another
_TIMES = httpx.Timeout(10.0, read=120.0)  # while an engine loads a draft it says nothing


def by_engines(engines: Engines, places: Places, ranks: Ranks) -> Ask:
    def ask(policy: Policy, prompts: Sequence[tuple[int, ...]], seed: int) -> Answers:
        def work() -> list[Answer]:
            model = put_draft(places, policy.save)
            question = Question(model, prompts, seed, policy.longest, policy.ends)
            return run(_drawn(engines, question))

        found = in_turns(work, ranks)
        both = zip(prompts, found, strict=True)
        texts = [Text(prompt, tuple(answer.ids)) for prompt, answer in both]
        return Answers(texts, [answer.logprobs for answer in found])

    return ask


async def _drawn(engines: Engines, question: Question) -> list[Answer]:
    headers = {"authorization": f"Bearer {engines.key.get_secret_value()}"} if engines.key else {}
    limits = httpx.Limits(max_connections=None)
    # A proxy of the environment is for the world outside.
    async with httpx.AsyncClient(
        headers=headers, timeout=_TIMES, limits=limits, trust_env=False
    ) as client:
        return await drawn([Engine(url, client) for url in engines.urls], question, engines.pace)


def in_turns(work: Callable[[], T], ranks: Ranks, *, turn_seconds: float = _TURN_SECONDS) -> T:
    """What the first process makes of it, however long: the others would not wait so long."""
    done: Future[T] = Future()
    if ranks.first:
        # A daemon: a round that is told to end need not wait for engines.
        Thread(target=_settle, args=(done, work), daemon=True).start()
    while (found := ranks.from_first(lambda: _within(done, turn_seconds))) is None:
        pass
    return found[0]


def _settle(done: "Future[T]", work: Callable[[], T]) -> None:
    try:
        done.set_result(work())
    except BaseException as error:
        done.set_exception(error)


def _within(done: "Future[T]", seconds: float) -> tuple[T] | None:
    try:
        return (done.result(seconds),)
    except TimeoutError:
        if done.done():
            raise
        return None
