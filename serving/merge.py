"""Several answers told as the choices of one. Knows nothing about adapters."""

from asyncio import FIRST_COMPLETED, create_task, gather, wait
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any

from serving.apis import Part

Batches = AsyncGenerator[list[Part]]


async def told_as_one(sides: Sequence[Batches], model: str, *, streams: bool) -> Batches:
    """Nobody sees one of them begin before the other can: haste must not win."""
    async with AsyncExitStack() as until_the_end:
        for side in sides:
            await until_the_end.enter_async_context(aclosing(side))
        firsts = await _begun(sides)
        told = _Told(firsts[0][0]["id"], model)
        first = [part for index, batch in enumerate(firsts) for part in told.parts(index, batch)]
        yield first if streams else [_as_one(first)]
        async with aclosing(_as_they_come(sides)) as batches:
            async for index, batch in batches:
                if parts := told.parts(index, batch):
                    yield parts


async def _begun(sides: Sequence[Batches]) -> list[list[Part]]:
    found = await gather(*(anext(side) for side in sides), return_exceptions=True)
    firsts = list[list[Part]]()
    for one in found:
        if isinstance(one, BaseException):
            raise one
        firsts.append(one)
    return firsts


async def _as_they_come(sides: Sequence[Batches]) -> AsyncGenerator[tuple[int, list[Part]]]:
    waiting = {create_task(_next(side)): index for index, side in enumerate(sides)}
    try:
        while waiting:
            done, _ = await wait(waiting, return_when=FIRST_COMPLETED)
            for task in done:
                index = waiting.pop(task)
                if batch := task.result():
                    waiting[create_task(_next(sides[index]))] = index
                    yield index, batch
    finally:
        for task in waiting:
            task.cancel()
        if waiting:
            await wait(waiting)


async def _next(side: Batches) -> list[Part]:
    return await anext(side, [])


class _Told:
    """Whose part it is, is said by the index of its choice."""

    def __init__(self, id: str, model: str) -> None:
        self._names = {"id": id, "model": model}
        self._usage: Part | None = None  # of the side that ended first: it is told once, for both

    def parts(self, index: int, batch: list[Part]) -> list[Part]:
        return [part for one in batch if (part := self._part(index, one))]

    def _part(self, index: int, part: Part) -> Part | None:
        if not part["choices"] and part.get("usage"):
            if self._usage is None:
                self._usage = part
                return None
            part["usage"] = _sum(self._usage["usage"], part["usage"])
        for choice in part["choices"]:
            choice["index"] = index
        return part | self._names


def _as_one(parts: list[Part]) -> Part:
    """Whole answers as one."""
    first, *others = parts
    for other in others:
        first["choices"] += other["choices"]
        if first.get("usage") and other.get("usage"):
            first["usage"] = _sum(first["usage"], other["usage"])
    return first


def _sum(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """As vLLM counts several choices: the prompt once."""
    answers = one["completion_tokens"] + other["completion_tokens"]
    total = one["prompt_tokens"] + answers
    return one | {"completion_tokens": answers, "total_tokens": total}
