"""The story of live scores: follow what is served, pick a few answers, weigh them, log the scores.

It keeps nothing, and begins at the end of the log: what it has missed was not in the sample.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any, Protocol

from feedback.events import BASE, BadEvent, Completion, Score, decode, encode
from feedback.log import COMPLETIONS, SCORES, Log
from trainer.adapters import AdapterError, verify
from trainer.batch import Text
from trainer.parent import SplitReader
from trainer.picks import Waiting, can_be_scored, is_faithful

_NEWEST = 500  # completions of a partition, at one look; who is further behind leaves some out
_log = logging.getLogger("trainer.score")


class Scales(Protocol):
    def weigh(
        self, texts: Sequence[Text], stable: Path | None
    ) -> Sequence[tuple[float, float]]: ...
    def usual(self) -> dict[str, Any]: ...
    def put_down(self) -> None: ...


class LiveScorer:
    def __init__(
        self, log: Log, split: SplitReader, adapters: Path, scales: Scales, most_tokens: int
    ) -> None:
        self._log, self._split, self._adapters = log, split, adapters
        self._scales, self._most_tokens = scales, most_tokens
        self._next = dict[int, int]()
        self._waiting = Waiting()
        self._whole = BASE  # what was verified last: an adapter never changes
        self._told = set[str]()

    def turn(self) -> int:
        """How many answers it has scored."""
        serving = self._split.serving()
        self._read()
        picked = self._waiting.take(serving.stable, serving.canary)
        if not picked or not self._is_whole(serving.stable):
            return 0
        scores = self._scored(picked, serving.stable)
        self._log.append_all([(SCORES.name, one.adapter, encode(one)) for one in scores])
        return len(scores)

    def put_down(self) -> None:
        """The model; what is on disk may be another when it is taken up again."""
        self._scales.put_down()
        self._whole = BASE

    def _read(self) -> None:
        for partition, end in self._log.end(COMPLETIONS.name).items():
            start = max(self._next.get(partition, end), end - _NEWEST)
            if start >= end:
                self._next[partition] = end
                continue
            records = self._log.read(COMPLETIONS.name, partition, start, _NEWEST)
            for record in records:
                self._take(record.value)
            self._next[partition] = records[-1].position.offset + 1 if records else end

    def _take(self, raw: bytes) -> None:
        try:
            one = decode(raw, (Completion,))
        except BadEvent:
            return  # the worker puts it aside
        if can_be_scored(one, self._most_tokens):
            self._waiting.add(one)

    def _is_whole(self, stable: str) -> bool:
        if stable in (BASE, self._whole):
            return True
        try:
            verify(self._adapters, stable)
        except AdapterError as error:
            if stable not in self._told:
                _log.warning("nothing is scored for now: %s", error)
            self._told.add(stable)
            return False
        _log.info("answers are scored under %s", stable)
        self._whole = stable
        return True

    def _scored(self, picked: list[Completion], stable: str) -> list[Score]:
        texts = [Text(one.prompt_ids, one.answer_ids) for one in picked]
        weighed = self._scales.weigh(texts, None if stable == BASE else self._adapters / stable)
        now, usual = datetime.now(UTC), self._scales.usual()
        return [
            Score(
                at=now,
                completion_id=one.id,
                adapter=one.adapter,
                stable=stable,
                tokens=len(one.answer_ids),
                served=sum(one.logprobs),
                under_stable=under_stable,
                under_base=under_base,
                faithful=is_faithful(one.parameters, usual),
            )
            for one, (under_stable, under_base) in zip(picked, weighed, strict=True)
            if isfinite(under_stable) and isfinite(under_base)
        ]
