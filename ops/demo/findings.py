"""What the log and the manifests say of each adapter of a demo. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from statistics import fmean
from typing import NamedTuple

from feedback.events import BASE, Completion
from feedback.examples import Example
from ops.demo.diary import Accepted
from ops.demo.taste import Facts, facts
from ops.evidence import Thumbs
from ops.move import Move
from ops.trial import Fates
from serving.split import Split
from trainer.adapters import Estimate, Manifest


@dataclass(frozen=True)
class Record:
    """All that a demo left behind; `accepted` are the verdicts that were answered 202."""

    completions: list[Completion] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    manifests: list[Manifest] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)
    sabotaged: str | None = None


class Judged(NamedTuple):
    """An answer as the hidden taste sees it, without the users' slips."""

    completion_id: str
    at: datetime
    adapter: str
    facts: Facts
    tokens: int


@dataclass(frozen=True)
class Line:
    """One adapter: what its users said, and what they should have said."""

    adapter: str
    fate: str
    kl: Estimate | None
    thumbs: Thumbs
    answers: list[Judged]

    @property
    def liked(self) -> Thumbs:
        return Thumbs(sum(a.facts.liked for a in self.answers), len(self.answers))

    @property
    def right(self) -> Thumbs:
        return Thumbs(sum(a.facts.right for a in self.answers), len(self.answers))

    @property
    def tokens(self) -> float:
        return fmean(a.tokens for a in self.answers) if self.answers else float("nan")


def judged(completions: Iterable[Completion]) -> list[Judged]:
    """Every whole answer once, in the order of time: what was spooled may be on the log twice."""
    whole = {c.id: c for c in completions if c.error is None and c.finish_reason is not None}
    return sorted(map(_judge, whole.values()), key=lambda answer: answer.at)


def _judge(completion: Completion) -> Judged:
    prompt = str(completion.messages[-1]["content"])
    found = facts(prompt, completion.answer, ended=completion.finish_reason == "stop")
    return Judged(
        completion.id, completion.at, completion.adapter, found, len(completion.answer_ids)
    )


def lines(record: Record) -> list[Line]:
    """The base model first, then each adapter that was more than a blank, oldest first."""
    answers = judged(record.completions)
    made = {m.name: m for m in record.manifests if m.gates}
    return [
        Line(
            adapter=name,
            fate=_fate(record, made.get(name)),
            kl=made[name].kl.get("base") if name in made else None,
            thumbs=_thumbs(record.examples, name),
            answers=[answer for answer in answers if answer.adapter == name],
        )
        for name in (BASE, *made)
    ]


def _fate(record: Record, manifest: Manifest | None) -> str:
    if manifest is None:
        return "the start"
    told = Fates(record.splits, record.moves).of(manifest)
    return f"{told} (sabotaged)" if manifest.name == record.sabotaged else told


def _thumbs(examples: list[Example], adapter: str) -> Thumbs:
    said = [e.up for e in examples if e.adapter == adapter and e.up is not None]
    return Thumbs(sum(said), len(said))
