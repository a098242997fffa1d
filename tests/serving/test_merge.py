"""Two answers told as one: by hand, without an engine."""

from asyncio import CancelledError, Event, create_task, gather, sleep
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import pytest

from serving.apis import Part
from serving.errors import EngineAway, EngineError
from serving.merge import told_as_one

pytestmark = pytest.mark.anyio


def part(id: str, text: str, **more: Any) -> Part:
    delta = {"index": 0, "delta": {"content": text}}
    return {"id": id, "model": f"adapter of {id}", "choices": [delta]} | more


def usage(id: str, prompt: int, answer: int) -> Part:
    counted = {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
    }
    return {"id": id, "model": "adapter", "choices": [], "usage": counted}


@dataclass
class Side:
    """Says its parts one by one; an error in their place is raised, an event is waited for."""

    says: list[Part | EngineError | Event]
    ended: list[str] = field(default_factory=list)

    async def batches(self) -> AsyncGenerator[list[Part]]:
        try:
            for one in self.says:
                if isinstance(one, Event):
                    await one.wait()
                elif isinstance(one, EngineError):
                    raise one
                else:
                    yield [one]
            self.ended.append("whole")
        except (GeneratorExit, CancelledError):
            self.ended.append("left")
            raise


def merged(*sides: Side, streams: bool = True) -> AsyncGenerator[list[Part]]:
    return told_as_one([side.batches() for side in sides], "model", streams=streams)


async def parts_of(batches: AsyncGenerator[list[Part]]) -> list[Part]:
    return [part async for batch in batches for part in batch]


async def test_each_sides_words_keep_their_order_and_are_known_by_their_index() -> None:
    found = await parts_of(
        merged(Side([part("x", "a"), part("x", "b")]), Side([part("x.1", "c"), part("x.1", "d")]))
    )
    said: dict[int, str] = {0: "", 1: ""}
    for one in found:
        said[one["choices"][0]["index"]] += one["choices"][0]["delta"]["content"]
    assert said == {0: "ab", 1: "cd"}
    assert {(one["id"], one["model"]) for one in found} == {("x", "model")}


async def test_neither_begins_before_both_can() -> None:
    late = Event()
    batches = merged(Side([part("x", "a")]), Side([late, part("x.1", "b")]))
    beginning = create_task(anext(batches))
    await _others()
    assert not beginning.done()
    late.set()
    assert [one["choices"][0]["index"] for one in await beginning] == [0, 1]
    await batches.aclose()


async def test_the_one_does_not_wait_for_the_other_once_both_have_begun() -> None:
    never = Event()
    batches = merged(Side([part("x", "a"), never]), Side([part("x.1", "b"), part("x.1", "c")]))
    async with aclosing(batches):
        await anext(batches)
        (second,) = await anext(batches)
    assert second["choices"][0] == {"index": 1, "delta": {"content": "c"}}


async def test_usage_is_told_once_and_counts_the_prompt_once() -> None:
    sides = [Side([part(id, "a"), usage(id, 7, answer)]) for id, answer in (("x", 3), ("x.1", 5))]
    found = [one for one in await parts_of(merged(*sides)) if not one["choices"]]
    (only,) = found
    assert only["usage"] == {"prompt_tokens": 7, "completion_tokens": 8, "total_tokens": 15}
    assert (only["id"], only["model"]) == ("x", "model")


async def test_whole_answers_become_one_with_two_choices() -> None:
    sides = [Side([part(id, id) | {"usage": usage(id, 7, 3)["usage"]}]) for id in ("x", "x.1")]
    (found,) = await parts_of(merged(*sides, streams=False))
    assert [one["index"] for one in found["choices"]] == [0, 1]
    assert [one["delta"]["content"] for one in found["choices"]] == ["x", "x.1"]
    assert found["usage"] == {"prompt_tokens": 7, "completion_tokens": 6, "total_tokens": 13}
    assert (found["id"], found["model"]) == ("x", "model")


@pytest.mark.parametrize("failing", [0, 1])
async def test_where_one_cannot_begin_neither_does(failing: int) -> None:
    sides = [Side([part("x", "a"), part("x", "b")]), Side([part("x.1", "c"), part("x.1", "d")])]
    sides[failing].says.insert(0, EngineAway("away"))
    with pytest.raises(EngineAway):
        await parts_of(merged(*sides))
    assert sides[1 - failing].ended == ["left"]


@pytest.mark.parametrize("failing", [0, 1])
async def test_where_one_breaks_in_the_middle_the_other_is_left(failing: int) -> None:
    sides = [Side([part("x", "a")]), Side([part("x.1", "c")])]
    sides[failing].says.append(EngineAway("away"))
    sides[1 - failing].says += [part("x", "b"), Event()]
    found = []
    with pytest.raises(EngineAway):
        async for batch in merged(*sides):
            found += batch
    assert len(found) >= 2
    assert sides[1 - failing].ended == ["left"]


async def test_a_reader_who_leaves_ends_both() -> None:
    sides = [Side([part(id, "a"), part(id, "b"), Event()]) for id in ("x", "x.1")]
    batches = merged(*sides)
    await anext(batches)
    await batches.aclose()
    assert [side.ended for side in sides] == [["left"], ["left"]]


@pytest.mark.parametrize("moment", range(1, 7))
async def test_who_is_cancelled_at_any_moment_leaves_nobody_at_work(moment: int) -> None:
    pauses = [Event() for _ in range(3)]
    sides = [
        Side([pauses[0], part("x", "a"), pauses[2], part("x", "b")]),
        Side([part("x.1", "c"), pauses[1], part("x.1", "d")]),
    ]
    reading = create_task(parts_of(merged(*sides)))
    for step in range(moment):
        await _others()
        if step % 2:
            pauses[step // 2].set()
    reading.cancel()
    await gather(reading, return_exceptions=True)
    assert all(len(side.ended) == 1 for side in sides)


async def _others() -> None:
    for _ in range(10):
        await sleep(0)
