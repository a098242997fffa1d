"""A demo that went as it should, made of plain data."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random

from feedback.events import BASE, Completion, Thumb
from feedback.examples import Example
from ops.demo.corpus import Manner, answer, prompts, topic_of
from ops.demo.diary import Accepted
from ops.demo.findings import Record
from ops.demo.taste import facts
from ops.move import Action, Move
from serving.split import Split
from tests.feedback.made import settled
from trainer.adapters import Estimate, GateResult, Manifest

START = datetime(2026, 1, 1, tzinfo=UTC)
# How often each is polite, and how often short.
MANNERS = {BASE: 0.5, "model-v1": 0.75, "model-v2": 0.95, "model-v3": 0.1}
STEPS: tuple[tuple[float, Action, str, str, str | None, float], ...] = (
    (40, "started", "model-v1", BASE, "model-v1", 10),
    (60, "stepped", "model-v1", BASE, "model-v1", 50),
    (80, "promoted", "model-v1", "model-v1", None, 0),
    (110, "started", "model-v2", "model-v1", "model-v2", 10),
    (130, "stepped", "model-v2", "model-v1", "model-v2", 50),
    (150, "promoted", "model-v2", "model-v2", None, 0),
    (152, "started", "model-v3", "model-v2", "model-v3", 10),
    (170, "withdrawn", "model-v3", "model-v2", None, 0),
    (180, "rolled_back", "model-v2", "model-v1", None, 0),
)
END = 200.0


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@dataclass
class Demo:
    """Ten answers a second of simulated time, rated as the demo's users do."""

    random: Random = field(default_factory=lambda: Random(7))
    completions: list[Completion] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)

    def record(self) -> Record:
        splits = [_split(1, 0.0, BASE, None, 0)]
        moves = []
        for revision, (after, action, adapter, stable, canary, share) in enumerate(STEPS, start=2):
            splits.append(_split(revision, after, stable, canary, share))
            moves.append(_move(action, adapter, splits[-1]))
        ends = [*(split.at for split in splits[1:]), at(END)]
        for split, end in zip(splits, ends, strict=True):
            self._serve(split, end)
        return Record(
            completions=self.completions,
            examples=self.examples,
            manifests=[manifest(name) for name in MANNERS if name != BASE],
            splits=splits,
            moves=moves,
            accepted=self.accepted,
            sabotaged="model-v3",
        )

    def _serve(self, split: Split, end: datetime) -> None:
        for tenth in range(int((end - split.at).total_seconds() * 10)):
            canary = split.canary if self.random.random() * 100 < split.share_percent else None
            said = completion(
                f"c{len(self.completions)}",
                canary or split.stable,
                random=self.random,
                when=split.at + timedelta(seconds=tenth / 10),
                revision=split.revision,
            )
            self.completions.append(said)
            if self.random.random() < 0.4:
                self._rate(said)

    def _rate(self, said: Completion) -> None:
        prompt = str(said.messages[0]["content"])
        liked = facts(prompt, said.answer, ended=True).liked
        up = liked != (self.random.random() < 0.1)
        self.accepted.append(Accepted(said.id, up))
        self.examples.append(example(said, up))


@cache
def told() -> Record:
    """What is known of such a demo; made once, as it is only read."""
    return Demo().record()


def completion(
    id: str, adapter: str, *, random: Random, when: datetime = START, revision: int = 1
) -> Completion:
    prompt = random.choice(prompts()[0])
    topic = topic_of(prompt)
    assert topic is not None
    share = MANNERS[adapter]
    manner = Manner(random.random() < share, random.random() < share, random.random() < 0.5)
    ids = tuple(range(24 if manner.short else 44))
    return Completion(
        at=when,
        id=id,
        user="user-001",
        adapter=adapter,
        split_revision=revision,
        messages=({"role": "user", "content": prompt},),
        answer=answer(topic, manner, random),
        prompt_ids=(1, 2),
        answer_ids=ids,
        logprobs=tuple(-0.1 for _ in ids),
        parameters={},
        finish_reason="stop",
        total_seconds=0.5,
    )


def example(said: Completion, up: bool) -> Example:
    thumb = Thumb(at=said.at, key=said.id, completion_id=said.id, user=said.user, up=up)
    (row,) = settled(said, thumb)
    return row


def manifest(name: str) -> Manifest:
    passed = GateResult(name="kl", passed=True, reason="0.5 of 3")
    return Manifest(
        name=name,
        parent=BASE,
        base="model",
        created_at=START,
        plan={},
        watermark={},
        dataset_digest="",
        counts={},
        gates=(passed,),
        kl={"base": Estimate(value=0.45, stderr=0.05, n=96)},
        curves={},
        scores={},
        libraries={},
        seconds=12.0,
    )


def _split(
    revision: int, after: float, stable: str, canary: str | None, share_percent: float
) -> Split:
    return Split(
        at=at(after),
        revision=revision,
        stable=stable,
        canary=canary,
        share_percent=share_percent,
        reason="better: gain +30.0% | thumbs 40/60",
        by="ann" if after == 180 else "ops",
    )


def _move(action: Action, adapter: str, split: Split) -> Move:
    return Move(
        at=split.at,
        action=action,
        adapter=adapter,
        split_revision=split.revision,
        reason=split.reason,
        by=split.by,
    )
