"""The story of the feedback room: read a batch, join it, append examples, remember the position.

A crash between any two steps repeats the batch from the same position, and the same positions give
the same file: nothing is skipped, nothing counts twice.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from feedback import examples
from feedback.dead import put_aside
from feedback.events import (
    VERDICTS,
    BadEvent,
    Completion,
    E,
    Verdict,
    decode,
    group_of,
)
from feedback.examples import Example, Watermark
from feedback.join import Said, news
from feedback.log import Log, Position
from feedback.metrics import Metrics
from feedback.window import Window

TOPICS = ("completions", "verdicts")


class Worker:
    def __init__(self, log: Log, window: Window, folder: Path, metrics: Metrics) -> None:
        self._log, self._window, self._folder, self._metrics = log, window, folder, metrics

    def step(self, partition: int, limit: int = 1000) -> int:
        """One batch of one partition; how many records it took in."""
        start = self._window.position(f"{topic}/{partition}" for topic in TOPICS)
        end = self._end(partition, start, limit)
        if end == start:
            return 0
        completions = [event for _, event in self._read("completions", start, end, (Completion,))]
        verdicts = self._read("verdicts", start, end, VERDICTS)
        said = [Said(event, at) for at, event in verdicts if isinstance(event, Verdict)]
        rows = self._join(completions, said)
        if rows:
            examples.append(self._folder, start, end, rows)
        self._window.commit(completions, said, end)
        self._metrics.took(start, end, rows)
        return sum(end.values()) - sum(start.values())

    def _end(self, partition: int, start: Watermark, limit: int) -> Watermark:
        """Where this batch ends: where it ended before, if it died after writing its file."""
        for batch in examples.batches(self._folder, start):
            if examples.start(batch) == start:
                return batch.end
        end = {}
        for topic in TOPICS:
            place, last = f"{topic}/{partition}", self._log.end(topic)[partition]
            self._metrics.behind(topic, last - start[place])
            end[place] = min(last, start[place] + limit)
        return end

    def _read(
        self, topic: str, start: Watermark, end: Watermark, kinds: tuple[type[E], ...]
    ) -> Iterator[tuple[Position, E]]:
        """The events between two positions; what cannot be read goes to the dead letters."""
        place = next(place for place in start if place.startswith(f"{topic}/"))
        partition, first = int(place.partition("/")[2]), start[place]
        for record in self._log.read(topic, partition, first, end[place] - first):
            if record.position.offset >= end[place]:
                break  # retention took some before them
            try:
                yield record.position, decode(record.value, kinds)
            except BadEvent as error:
                put_aside(self._log, topic, record, str(error))
                self._metrics.put_aside(topic)

    def _join(self, completions: list[Completion], said: list[Said]) -> list[Example]:
        """What these settle, request by request, in the order in which they are first named."""
        new: dict[str, tuple[list[Completion], list[Said]]] = defaultdict(lambda: ([], []))
        for completion in completions:
            new[group_of(completion.id)][0].append(completion)
        for one in said:
            new[group_of(one.verdict.completion_id)][1].append(one)
        known = {name: self._window.group(name) for name in new}
        return [row for name in new for row in news(known[name], known[name].add(*new[name]))]
