"""STORY of two answers side by side: who gives them, in which order, both told as one answer.

Which is which is known by their ids alone: the first one's is the request's, the second one's has
`.1` behind it. The reader is told no adapter.
"""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from random import SystemRandom
from typing import NamedTuple

from feedback.events import GROUP_END
from feedback.privacy import pseudonym
from serving.apis import Part
from serving.ask import Ask
from serving.chat import CANNOT_LOAD, Arm, Chat, new_request_id
from serving.errors import EngineRefused
from serving.merge import told_as_one
from serving.turn import Chosen

COMPARED = "compared"  # a field of the first part: what the two are


class _Pair(NamedTuple):
    compared: str
    adapters: list[str]


@dataclass(frozen=True)
class Compare:
    chat: Chat
    shuffle: Callable[[list[str]], None] = SystemRandom().shuffle

    async def answer(self, ask: Ask) -> AsyncGenerator[list[Part]]:
        """As `Chat.answer`. Where no canary can answer, two samples of stable do."""
        if ask.person is None:  # both were asked for by one, whoever it was
            ask = replace(ask, user=new_request_id())
        for pair in self._pairs(ask):
            answer = self._both(ask, pair)
            try:
                first = await anext(answer)
            except EngineRefused as refusal:
                if pair.compared == "samples" or refusal.status not in CANNOT_LOAD:
                    raise
                continue
            first[0][COMPARED] = pair.compared
            async with aclosing(answer):
                yield first
                async for batch in answer:
                    yield batch
            return

    def _pairs(self, ask: Ask) -> Iterator[_Pair]:
        """What may be compared, the best first."""
        if ask.compare == "samples" or ask.model != self.chat.name:
            user = pseudonym(self.chat.secret, ask.person or new_request_id())
            yield _Pair("samples", [self.chat.choose(ask, user).adapter] * 2)
            return
        split = self.chat.split()
        if split.canary:
            adapters = [split.stable, split.canary]
            self.shuffle(adapters)
            yield _Pair("canary", adapters)
        yield _Pair("samples", [split.stable] * 2)

    def _both(self, ask: Ask, pair: _Pair) -> AsyncGenerator[list[Part]]:
        group = new_request_id()
        sides = [
            self.chat.answer(_seeded(ask, index), Arm(Chosen(adapter), request_id))
            for index, (adapter, request_id) in enumerate(
                zip(pair.adapters, (group, f"{group}{GROUP_END}1"), strict=True)
            )
        ]
        return told_as_one(sides, self.chat.name, streams=ask.streams)


def _seeded(ask: Ask, index: int) -> Ask:
    """One seed would make two samples of one adapter the same."""
    seed = ask.body.get("seed")
    if index == 0 or not isinstance(seed, int):
        return ask
    return replace(ask, body=ask.body | {"seed": seed + index})
