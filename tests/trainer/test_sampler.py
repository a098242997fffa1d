"""Answers drawn by an engine whose every token is known beforehand, over real HTTP."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from tests.free import free_port
from tests.trainer.scripted import END, Scripted, logprob, script, serving
from trainer.desk import Answer
from trainer.endings import NobodyAnswers
from trainer.engine import Engine, EngineRefuses
from trainer.sampler import Question, drawn
from trainer.spare import Pace, Spare

PROMPTS = [[number, number + 1, number + 2] for number in range(1, 41)]
MOST = 9  # the script of some prompts is longer
WHOLE = sum(len(script(prompt, MOST)) for prompt in PROMPTS)


def pace(**changes: Any) -> Pace:
    usual = {
        "at_once": 4,
        "per_second": None,
        "users": 0,
        "quiet_seconds": 0.1,
        "met_share": 1.0,
        "patience_seconds": 5.0,
    }
    return Pace(**(usual | changes))


def engine(**more: Any) -> Scripted:
    return Scripted(PROMPTS, MOST, **more)


async def draw(*urls: str, prompts: list[list[int]] = PROMPTS, **changes: Any) -> list[Answer]:
    asked = [tuple(prompt) for prompt in prompts]
    question = Question("model-draft-0123456789abcdef-v0", asked, 7, MOST, [END])
    async with httpx.AsyncClient(trust_env=False) as client:
        how = pace(**changes)
        return await drawn([(Engine(url, client), Spare(how)) for url in urls], question, how)


async def said(one: Scripted, tokens: int) -> None:
    """Once it has."""
    while one.tokens < tokens:  # noqa: ASYNC110 (nobody tells)
        await asyncio.sleep(0.01)


async def is_left(one: Scripted) -> None:
    """Soon: not each look sees who comes just as one of our answers ends."""
    async with asyncio.timeout(10):
        while one.ours:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.01)
    assert one.tokens < WHOLE  # it was not left because all was said


def are_whole(answers: list[Answer]) -> None:
    """Each as it would be, had nothing happened."""
    said = [script(prompt, MOST) for prompt in PROMPTS]
    assert [answer.ids for answer in answers] == said
    assert [answer.logprobs for answer in answers] == [[*map(logprob, ids)] for ids in said]


def test_every_prompt_has_its_answer_with_the_engines_log_probabilities() -> None:
    async def go() -> None:
        async with serving(engine()) as one:
            are_whole(await draw(one.url))
            assert one.peak == 4
            first = one.bodies[0]
            assert first["model"] == "model-draft-0123456789abcdef-v0"
            assert first["priority"] > 0
            assert first["sampling_params"]["stop_token_ids"] == [END]
            seeds = [body["sampling_params"]["seed"] for body in one.bodies]
            assert len({*seeds}) == len(PROMPTS)

    asyncio.run(go())


def test_where_a_user_comes_it_stops_and_goes_on_where_it_was_once_they_are_gone() -> None:
    async def go() -> None:
        async with serving(engine(token_seconds=0.05)) as one:
            work = asyncio.create_task(draw(one.url))
            await said(one, 40)
            one.users = 1
            await is_left(one)
            before = one.tokens
            await asyncio.sleep(0.4)
            assert one.tokens == before
            one.users = 0
            are_whole(await work)
            assert one.tokens <= WHOLE + 4  # what was on its way when it was left may be lost
            assert any(len(body["token_ids"]) > 3 for body in one.bodies)

    asyncio.run(go())


def test_beside_so_many_users_it_works_on() -> None:
    async def go() -> None:
        async with serving(engine(users=2)) as one:
            are_whole(await draw(one.url, users=2))

    asyncio.run(go())


def test_an_engine_that_dies_midway_and_comes_back_finishes_what_it_began() -> None:
    async def go() -> None:
        port = free_port()
        async with serving(engine(token_seconds=0.01), port) as one:
            work = asyncio.create_task(draw(one.url))
            await said(one, 60)
        await asyncio.sleep(0.3)
        assert not work.done()
        async with serving(engine(), port) as another:
            are_whole(await work)
            assert any(len(body["token_ids"]) > 3 for body in another.bodies)

    asyncio.run(go())


def test_an_engine_that_breaks_every_answer_off_is_asked_again_and_again() -> None:
    async def go() -> None:
        async with serving(engine(breaks_after=2)) as one:
            are_whole(await draw(one.url))
            parts = [-(-len(script(prompt, MOST)) // 2) for prompt in PROMPTS]
            assert len(one.bodies) >= sum(parts)

    asyncio.run(go())


def test_nobody_waits_for_ever_and_the_reason_is_told() -> None:
    async def go() -> None:
        async with serving(engine(users=3)) as busy:
            away = f"http://127.0.0.1:{free_port()}"
            with pytest.raises(NobodyAnswers) as told:
                await draw(busy.url, away, patience_seconds=0.5)
            assert "no engine drew anything in 0.5 s, 0 of 40 answers are drawn" in str(told.value)
            assert f"{busy.url} works for users" in str(told.value)
            assert f"{away} is away: " in str(told.value)

    asyncio.run(go())


def test_what_an_engine_refuses_ends_the_drawing_at_once_with_its_words() -> None:
    async def go() -> None:
        async with serving(engine(status=403)) as one:
            with pytest.raises(EngineRefuses, match=r"/generate is 403: .*not so"):
                await draw(one.url)

    asyncio.run(go())


def test_an_engine_in_trouble_is_waited_for() -> None:
    async def go() -> None:
        async with serving(engine(status=503)) as one:
            work = asyncio.create_task(draw(one.url))
            await asyncio.sleep(0.3)
            one.status = 200
            are_whole(await work)

    asyncio.run(go())


def test_an_engine_that_does_not_tell_how_busy_it_is_is_not_asked_on() -> None:
    """Users could not be told from nobody."""

    async def go() -> None:
        async with serving(engine(token_seconds=0.2, counts=False)) as one:
            with pytest.raises(EngineRefuses, match="--enable-server-load-tracking"):
                await draw(one.url, patience_seconds=60.0)

    asyncio.run(go())


def test_a_user_is_seen_by_an_engine_that_counts_too_few() -> None:
    """As vLLM does, once somebody hung up at a bad moment."""

    async def go() -> None:
        async with serving(engine(token_seconds=0.2, uncounted=1)) as one:
            work = asyncio.create_task(draw(one.url, at_once=2))
            await said(one, 4)
            await asyncio.sleep(6)  # some sixty looks
            one.users = 1
            await is_left(one)
            one.users, one.token_seconds = 0, 0.002
            are_whole(await work)

    asyncio.run(go())


def test_a_user_is_seen_at_once_where_the_count_was_less_than_nothing() -> None:
    async def go() -> None:
        async with serving(engine(token_seconds=0.2, uncounted=2)) as one:
            work = asyncio.create_task(draw(one.url))
            await said(one, 4)
            one.users, before = 1, one.looks
            await is_left(one)
            assert one.looks - before < 10  # it takes twenty to find out that too few are counted
            one.users, one.token_seconds = 0, 0.002
            are_whole(await work)

    asyncio.run(go())


def test_an_engine_that_does_not_tell_what_it_has_to_do_is_left() -> None:
    """Whoever comes meanwhile would not be seen."""

    async def go() -> None:
        async with serving(engine(token_seconds=0.3)) as one:
            work = asyncio.create_task(draw(one.url, patience_seconds=60.0))
            await said(one, 4)
            one.load_seconds, one.users = 30.0, 1
            await is_left(one)
            one.load_seconds, one.users, one.token_seconds = 0.0, 0, 0.0
            are_whole(await work)

    asyncio.run(go())


def test_an_answer_that_is_broken_off_behind_its_last_token_is_whole() -> None:
    longest = [p for p in PROMPTS if len(said := script(p, MOST)) == MOST and END not in said]

    async def go() -> None:
        async with serving(engine(ends=False)) as one:
            answers = await draw(one.url, prompts=longest)
            assert [answer.ids for answer in answers] == [script(p, MOST) for p in longest]

    assert longest
    asyncio.run(go())


def test_where_there_is_nothing_to_draw_nobody_is_waited_for() -> None:
    assert asyncio.run(draw(f"http://127.0.0.1:{free_port()}", prompts=[])) == []


def test_several_engines_share_the_work() -> None:
    async def go() -> None:
        async with AsyncExitStack() as until:
            many = [await until.enter_async_context(serving(engine())) for _ in range(3)]
            are_whole(await draw(*(one.url for one in many)))
            assert all(one.bodies for one in many)
            assert sum(len(one.bodies) for one in many) == len(PROMPTS)

    asyncio.run(go())


def test_no_more_are_begun_in_a_second_than_allowed() -> None:
    async def go() -> None:
        async with serving(engine()) as one:
            are_whole(await draw(one.url, per_second=50.0))
            took = one.begun[-1] - one.begun[0]
            assert took >= (len(PROMPTS) - 2) / 50.0 - 0.1

    asyncio.run(go())


@pytest.mark.parametrize("more", [{"at_once": 60}, {"per_second": 20.0}])
def test_nothing_is_begun_while_a_user_is_there(more: dict[str, Any]) -> None:
    """Whoever waited for something to draw, or for its turn, looks again."""

    async def go() -> None:
        async with serving(engine(token_seconds=0.2)) as one:
            work = asyncio.create_task(draw(one.url, **more))
            await said(one, 10)
            one.users = 1
            await is_left(one)
            begun = len(one.bodies)
            await asyncio.sleep(0.5)
            assert (one.ours, len(one.bodies)) == (0, begun)
            one.users, one.token_seconds = 0, 0.002
            are_whole(await work)

    asyncio.run(go())


def test_an_engine_that_says_nothing_is_left_too_when_a_user_comes() -> None:
    async def go() -> None:
        async with serving(engine(token_seconds=30.0)) as one:
            work = asyncio.create_task(draw(one.url, patience_seconds=60.0))
            while one.ours < 4:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.01)
            one.users = 1
            await is_left(one)
            one.users, one.token_seconds = 0, 0.0
            are_whole(await work)

    asyncio.run(go())


def test_an_engine_in_trouble_is_asked_now_and_then_not_all_the_time() -> None:
    async def go() -> None:
        async with serving(engine(status=503)) as one:
            with pytest.raises(NobodyAnswers):
                await draw(one.url, quiet_seconds=0.5, patience_seconds=2.2)
            assert one.refused <= 4 * 4

    asyncio.run(go())
