"""Who answered: the same in every chunk, the header, the words, the log and the split. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from feedback.events import Completion
from serving.split import Split, choose
from tests.integration.telling import ids, words


@dataclass
class Heard:
    """One answer as its reader saw it."""

    status: int = 0
    header: str = ""
    models: set[str] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)
    text: str = ""
    ended: bool = False
    pause: float = 0.0  # the longest between two blocks

    def take(self, body: bytes) -> None:
        *events, end = body.removesuffix(b"\n\n").split(b"\n\n")
        self.ended = end == b"data: [DONE]"
        for event in events:
            part = json.loads(event.removeprefix(b"data: "))
            self.models.add(part.get("model", "none"))
            self.ids.add(part.get("id", "none"))
            self.text += "".join(c["delta"].get("content") or "" for c in part.get("choices", ()))


def misheard(heard: Sequence[Heard], requests: int, tokens: int) -> Iterator[str]:
    if len(heard) != requests:
        yield f"{len(heard)} answers; expected {requests}"
    for one in heard:
        if one.status != 200 or not one.ended:
            yield f"failed: status {one.status}, {one.text!r}"
        elif one.models != {one.header} or len(one.ids) != 1:
            yield f"mixed: header {one.header}, chunks {one.models} {one.ids}"
        elif one.text != words(one.header, tokens):
            yield f"mixed: header {one.header}, said {one.text!r}"


def misremembered(
    heard: Sequence[Heard], kept: Sequence[Completion], splits: Mapping[int, Split], tokens: int
) -> Iterator[str]:
    """Each answer is kept once, as its reader had it, and by the split that it names."""
    by_id = {one.id: one for one in kept}
    if len(kept) != len(by_id):
        yield f"{len(kept) - len(by_id)} completions are on the log twice"
    for one in heard:
        found = by_id.get("".join(one.ids))
        if found is None:
            yield f"forgotten: {one.ids}"
            continue
        told = (found.adapter, found.answer, found.answer_ids, found.error)
        if told != (one.header, one.text, ids(one.header, tokens), None):
            yield f"misremembered: {one.ids} of {one.header} as {told}"
        split = splits.get(found.split_revision or 0)
        if split is None or choose(split, found.user).adapter != found.adapter:
            yield f"wrong side: {found.id} of {found.user} by {found.adapter}, not by {split}"
