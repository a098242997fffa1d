"""Events made for tests, with only what a test cares about."""

from datetime import UTC, datetime, timedelta

from feedback.events import Comparison, Completion, Correction, Outcome, Retraction, Thumb

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
