"""Events made for tests, with only what a test cares about."""

from array import array
from datetime import UTC, datetime, timedelta
from pathlib import Path

from feedback.answers import answer_of
from feedback.events import (
    GUARD,
    Comparison,
    Completion,
    Correction,
    Outcome,
    Retraction,
    Ruling,
    Thumb,
    Verdict,
    encode,
)
from feedback.examples import Example
from feedback.intake import Intake
from feedback.join import Group, Join, Said, Served
from feedback.log import Log, Position
from feedback.metrics import Metrics
from feedback.window import Window
from feedback.words import word_of
from feedback.worker import Worker

SPAN = timedelta(days=14)
START = datetime(2026, 1, 1, tzinfo=UTC)


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def completion(id: str = "c1", *, user: str = "ann", adapter: str = "base") -> Completion:
    return Completion(
        at=at(0),
        id=id,
        user=user,
        adapter=adapter,
        split_revision=1,
        messages=({"role": "user", "content": f"question {id}"},),
        answer=f"answer {id}",
        prompt_ids=(1, 2, 3),
        answer_ids=(4, 5),
        logprobs=(-0.1, -0.25),
        parameters={"temperature": 1.0},
        finish_reason="stop",
        total_seconds=0.5,
    )


def thumb(
    up: bool, second: float = 1, *, of: str = "c1", key: str = "", user: str | None = None
) -> Thumb:
    key = key or f"{of}-{up}-{second}"
    return Thumb(at=at(second), key=key, completion_id=of, user=user, up=up)


def retraction(second: float, *, of: str = "c1", slot: str = "thumb") -> Retraction:
    return Retraction(at=at(second), key=f"r{second}", completion_id=of, of=slot)


def correction(text: str, second: float = 1, *, of: str = "c1") -> Correction:
    return Correction(at=at(second), key=f"t{second}", completion_id=of, text=text)


def outcome(name: str, value: float, second: float = 1, *, of: str = "c1") -> Outcome:
    return Outcome(at=at(second), key=f"o{second}{name}", completion_id=of, name=name, value=value)


def comparison(a: str, b: str, winner: str = "a", second: float = 1) -> Comparison:
    return Comparison.model_validate(
        {"at": at(second), "key": f"x{second}", "completion_id": a, "other_id": b, "winner": winner}
    )


def ruling(
    weight: float, second: float = 1, *, of: str = "c1", rater: str = "ann", by: str = GUARD
) -> Ruling:
    return Ruling(
        at=at(second),
        completion_id=of,
        slot="thumb",
        rater=rater,
        weight=weight,
        reason="too many",
        by=by,
    )


def said_at(offset: int, event: Verdict | Ruling) -> Said:
    return Said(word_of(event), Position(0, offset), encode(event))


def group(*events: Completion | Verdict | Ruling) -> Group:
    said = [event for event in events if not isinstance(event, Completion)]
    return Group().add(
        [Served(answer_of(event)) for event in events if isinstance(event, Completion)],
        [said_at(i, event) for i, event in enumerate(said)],
    )


def settled(*events: Completion | Verdict | Ruling) -> list[Example]:
    """The examples that these make, in whatever order they came."""
    return [_as_read(row) for row in Join(SPAN).settle(group(*events)).values()]


def _as_read(row: Example) -> Example:
    """With lists, as a file has them."""
    return Example._make(list(one) if isinstance(one, array) else one for one in row)


def worker(log: Log, window: Window, folder: Path, partition: int = 0) -> Worker:
    metrics = Metrics()
    return Worker(Intake(log, partition, metrics), window, folder, metrics, span=SPAN)
