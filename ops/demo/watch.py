"""Looks at the log again and again, tells what moved, and waits for what is to come."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from feedback.events import BASE
from feedback.log import Log
from ops import history
from ops.demo.board import Board
from ops.demo.seen import Count
from ops.move import Move
from serving.split import Split
from trainer.adapters import Manifest, published

LOOK_SECONDS = 0.5


class Stuck(Exception):
    """Something did not come in its time."""


class Watch:
    def __init__(self, log: Log, adapters: Path, board: Board) -> None:
        self._log, self._adapters, self._board = log, adapters, board
        self.count = Count(log)
        self.moves: list[Move] = []
        self._splits: list[Split] = []
        self._manifests: list[Manifest] = []

    async def until(self, what: str, came: Callable[[], bool], seconds: float) -> None:
        self._board.wait_for(what)
        try:
            async with asyncio.timeout(seconds):
                while not came():
                    await asyncio.sleep(LOOK_SECONDS)
                    self._look()
        except TimeoutError as error:
            raise Stuck(f"waited {seconds:.0f} s for {what}, in vain") from error

    def moved(self, action: str, adapter: str | None = None) -> list[Move]:
        return [m for m in self.moves if m.action == action and adapter in (None, m.adapter)]

    def at_rest(self) -> bool:
        return bool(self._splits) and self._splits[-1].canary is None

    @property
    def stable(self) -> str:
        return self._splits[-1].stable if self._splits else BASE

    def _look(self) -> None:
        self.count.look()
        before, self.moves = len(self.moves), history.moves(self._log)
        for move in self.moves[before:]:
            self._board.moved(move)
            self._manifests = published(self._adapters)
        self._splits = history.splits(self._log)
        if self._splits:
            self._board.show(self._splits[-1], self.count, self._manifests)
