"""Several engines as one: who is asked, who takes over, who rests. Times are told by hand."""

from asyncio import Event, create_task, gather, sleep
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from serving.apis import CHAT, Api, Part
from serving.engines import FAILURES, REST_SECONDS, Engines, State
from serving.errors import (
    AnswerTooLong,
    BadAnswer,
    EngineAway,
    EngineBusy,
    EngineError,
    EngineRefused,
    EngineSlow,
    headers_of,
)
from serving.turn import Headers

pytestmark = pytest.mark.anyio


def refused(status: int) -> EngineRefused:
    return EngineRefused(status, {"message": "no"})


@dataclass
class Scripted:
    """Says its url twice, and waits between."""

    url: str
    fails: EngineError | None = None  # before it says anything
    breaks: EngineError | None = None  # after its first words
    sick: EngineError | None = None
    asked: int = 0
    ended: int = 0
    closed: bool = False
    may_begin: Event = field(default_factory=Event)
    may_end: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self.may_begin.set()

    async def answer(
        self, api: Api, adapter: str, body: dict[str, Any], request_id: str, headers: Headers = ()
    ) -> AsyncGenerator[list[Part]]:
        self.asked += 1
        try:
            if self.fails:
                raise self.fails
            await self.may_begin.wait()
            yield [{"id": self.url}]
            if self.breaks:
                raise self.breaks
            await self.may_end.wait()
            yield [{"id": self.url}]
        finally:
            self.ended += 1

    async def check(self) -> None:
        if self.sick:
            raise self.sick

    async def close(self) -> None:
        self.closed = True


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


A, B, C = "a", "b", "c"


def scripted(*urls: str) -> list[Scripted]:
    return [Scripted(url) for url in urls]


async def first(engines: Engines) -> str:
    """Who begins to answer; the answer is left at once."""
    async with begun(engines) as url:
        return url


@asynccontextmanager
async def begun(engines: Engines) -> AsyncIterator[str]:
    async with aclosing(engines.answer(CHAT, "model-v1", {}, "r")) as batches:
        yield (await anext(batches))[0]["id"]


async def test_the_least_busy_one_answers() -> None:
    engines = Engines(scripted(A, B, C), most=9)
    async with begun(engines) as one, begun(engines) as two, begun(engines) as three:
        assert {one, two, three} == {A, B, C}
        assert {state.busy for state in engines.states().values()} == {1}
        async with begun(engines):
            assert sorted(state.busy for state in engines.states().values()) == [1, 1, 2]
    assert engines.states() == dict.fromkeys((A, B, C), State(0, True))


async def test_the_answer_is_handed_on_as_it_is() -> None:
    (only,) = scripted(A)
    only.may_end.set()
    found = [batch async for batch in Engines([only], 1).answer(CHAT, "model-v1", {}, "r")]
    assert found == [[{"id": A}], [{"id": A}]]


AWAY = [EngineAway("refused"), refused(503), refused(502), refused(429)]


@pytest.mark.parametrize("trouble", AWAY, ids=repr)
async def test_another_takes_over_where_one_cannot_begin(trouble: EngineError) -> None:
    sick, well = scripted(A, B)
    sick.fails = trouble
    assert await first(Engines([sick, well], most=9)) == B
    assert (sick.asked, well.asked) == (1, 1)


ITS_OWN = [refused(400), refused(404), refused(500), EngineSlow("s"), BadAnswer("b")]


@pytest.mark.parametrize("trouble", [*ITS_OWN, AnswerTooLong("l")], ids=repr)
async def test_what_may_be_the_requests_own_fault_is_not_tried_again(trouble: EngineError) -> None:
    sick, well = scripted(A, B)
    sick.fails = trouble
    with pytest.raises(EngineError) as caught:
        await first(Engines([sick, well], most=9))
    assert caught.value is trouble
    assert well.asked == 0


@pytest.mark.parametrize("trouble", AWAY, ids=repr)
async def test_nobody_takes_over_what_has_begun(trouble: EngineError) -> None:
    sick, well = scripted(A, B)
    sick.breaks = trouble
    said = []
    with pytest.raises(EngineError) as caught:
        async for batch in Engines([sick, well], most=9).answer(CHAT, "model-v1", {}, "r"):
            said.append(batch)
    assert caught.value is trouble
    assert (said, well.asked) == ([[{"id": A}]], 0)


async def test_where_all_are_away_each_is_asked_once() -> None:
    places = scripted(A, B, C)
    for place in places:
        place.fails = EngineAway(f"{place.url} is away")
    with pytest.raises(EngineAway, match="c is away"):
        await first(Engines(places, most=9))
    assert [place.asked for place in places] == [1, 1, 1]


async def test_one_that_fails_three_times_in_a_row_rests_and_then_one_request_tries_it() -> None:
    clock, (sick, well) = Clock(), scripted(A, B)
    engines = Engines([sick, well], most=9, clock=clock)
    sick.fails = EngineAway("away")
    for failures in range(1, FAILURES + 1):
        assert engines.states()[A].well
        assert await first(engines) == B
        assert sick.asked == failures
    assert not engines.states()[A].well
    clock.now += REST_SECONDS - 0.1
    assert await first(engines) == B
    assert sick.asked == FAILURES
    clock.now += 0.1
    assert await first(engines) == B  # it was tried, and is still away
    assert sick.asked == FAILURES + 1
    assert await first(engines) == B  # so it rests again
    assert sick.asked == FAILURES + 1


async def test_the_others_follow_when_the_one_that_tried_it_came_back() -> None:
    clock, (sick, well) = Clock(), scripted(A, B)
    engines = Engines([sick, well], most=9, clock=clock)
    sick.fails = EngineAway("away")
    for _ in range(FAILURES):
        await first(engines)
    clock.now += REST_SECONDS
    sick.fails = None
    sick.may_begin.clear()
    trying = create_task(first(engines))
    await _others()
    assert (sick.asked, trying.done()) == (FAILURES + 1, False)
    async with begun(engines) as two, begun(engines) as three, begun(engines) as four:
        assert {two, three, four} == {B}  # though it is busier
    sick.may_begin.set()
    assert await trying == A
    async with begun(engines), begun(engines):
        assert engines.states() == {A: State(1, True), B: State(1, True)}


async def test_a_failure_that_is_not_in_a_row_lets_nobody_rest() -> None:
    sick, well = scripted(A, B)
    engines = Engines([sick, well], most=9, clock=Clock())
    for _ in range(FAILURES):
        for trouble in (EngineAway("away"), EngineAway("away"), None):
            sick.fails = trouble
            await first(engines)
    assert engines.states()[A].well


@pytest.mark.parametrize("trouble", [refused(400), refused(429)], ids=repr)
async def test_one_that_says_no_is_not_sick(trouble: EngineError) -> None:
    (only,) = scripted(A)
    engines = Engines([only], most=9, clock=Clock())
    for fails in [EngineAway("away"), EngineAway("away"), trouble] * 2:
        only.fails = fails
        with pytest.raises(EngineError):
            await first(engines)
    assert engines.states()[A].well


async def test_rather_a_sick_one_than_none_at_all() -> None:
    (only,) = scripted(A)
    only.fails = EngineAway("away")
    engines = Engines([only], most=9, clock=Clock())
    for _ in range(FAILURES):
        with pytest.raises(EngineAway):
            await first(engines)
    only.fails = None
    assert await first(engines) == A


async def test_where_each_has_as_many_as_it_may_the_next_is_to_come_again() -> None:
    engines = Engines(scripted(A, B), most=1)
    async with begun(engines), begun(engines):
        with pytest.raises(EngineBusy, match="each engine has 1 requests") as caught:
            await first(engines)
        assert caught.value.status == 503
        assert headers_of(caught.value) == {"retry-after": "1"}
    assert await first(engines) in (A, B)


async def test_a_reader_who_leaves_frees_the_place_and_is_no_failure_of_the_engine() -> None:
    (only,) = scripted(A)
    engines = Engines([only], most=1, clock=Clock())
    for _ in range(FAILURES + 1):
        assert await first(engines) == A
    waiting = create_task(_all(engines))
    await _others()
    waiting.cancel()
    await gather(waiting, return_exceptions=True)
    assert engines.states() == {A: State(0, True)}
    assert only.ended == only.asked == FAILURES + 2


async def test_they_are_ready_if_any_is() -> None:
    places = scripted(A, B)
    engines = Engines(places, most=1)
    places[0].sick = EngineAway("a is away")
    await engines.check()
    places[1].sick = EngineAway("b is away")
    with pytest.raises(EngineAway, match="a is away"):
        await engines.check()


async def test_all_are_closed() -> None:
    places = scripted(A, B)
    await Engines(places, most=1).close()
    assert all(place.closed for place in places)


async def _all(engines: Engines) -> None:
    async for _ in engines.answer(CHAT, "model-v1", {}, "r"):
        pass


async def _others() -> None:
    """Let all others go as far as they can."""
    for _ in range(10):
        await sleep(0)
