"""What is known of all rounds so far: counts that only grow, and how the last one ended. Pure."""

from typing import Annotated, Self, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from feedback.events import SchemaV1
from trainer.adapters import Estimate, GateResult, Manifest
from trainer.endings import Ending

K = TypeVar("K", bound=str)
SILENT_SECONDS = 60.0  # a round that says nothing for so long is dead: it says something every 5 s


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class UnderWay(_Frozen):
    """A round that goes on, or was killed."""

    began_at: AwareDatetime
    told_at: AwareDatetime
    parent: str
    step: str = ""
    done: int = 0
    of: int = 0
    left_seconds: float | None = None

    def silent_seconds(self, now: AwareDatetime) -> float:
        return (now - self.told_at).total_seconds()


class Ended(_Frozen):
    """A round that ended, and how."""

    outcome: Ending
    why: str
    parent: str
    adapter: str | None = None
    began_at: AwareDatetime
    ended_at: AwareDatetime
    counts: dict[str, int] = {}
    gates: tuple[GateResult, ...] = ()
    kl: dict[str, Estimate] = {}
    scores: dict[str, float] = {}
    steps: dict[str, float] = {}  # seconds by kind of step

    def __str__(self) -> str:
        return f"{self.outcome}: {self.adapter or 'no adapter'}, {self.why}"

    @property
    def seconds(self) -> float:
        return (self.ended_at - self.began_at).total_seconds()

    def made(self, manifest: Manifest) -> Self:
        return self.model_copy(
            update={
                "adapter": manifest.name,
                "counts": dict(manifest.counts),
                "gates": manifest.gates,
                "kl": dict(manifest.kl),
                "scores": dict(manifest.scores),
            }
        )


class Past(_Frozen):
    """The numbers since `since`, and of two rounds all: the last, and the last with an adapter."""

    v: SchemaV1 = 1
    since: AwareDatetime
    rounds: dict[Ending, Annotated[int, Field(ge=0)]] = {}
    ended_at: dict[Ending, AwareDatetime] = {}
    made: int = 0
    made_seconds: float = 0.0
    examples: dict[str, int] = {}  # by use
    gate_failures: dict[str, int] = {}
    tracker_failures: dict[str, int] = {}
    last: Ended | None = None
    newest: Ended | None = None

    def after(self, ended: Ended) -> Self:
        latest = self.last is None or ended.ended_at >= self.last.ended_at
        before = self.ended_at.get(ended.outcome, ended.ended_at)
        changes: dict[str, object] = {
            "rounds": _more(self.rounds, {ended.outcome: 1}),
            "ended_at": self.ended_at | {ended.outcome: max(before, ended.ended_at)},
            "last": ended if latest else self.last,
        }
        if ended.adapter is not None:
            changes |= self._with_adapter(ended)
        return self.model_copy(update=changes)

    def after_failure_of(self, tracker: str) -> Self:
        failures = _more(self.tracker_failures, {tracker: 1})
        return self.model_copy(update={"tracker_failures": failures})

    def _with_adapter(self, ended: Ended) -> dict[str, object]:
        failed = {gate.name: 1 for gate in ended.gates if not gate.passed}
        used = {use: ended.counts.get(use, 0) for use in ("train", "replay", "holdout")}
        return {
            "made": self.made + 1,
            "made_seconds": self.made_seconds + ended.seconds,
            "examples": _more(self.examples, used),
            "gate_failures": _more(self.gate_failures, failed),
            "newest": ended,
        }


def death_of(round_: UnderWay) -> Ended:
    """Its own last word is the time of its death."""
    return Ended(
        outcome="died",
        why=f"killed at {round_.step or 'its start'}",
        parent=round_.parent,
        began_at=round_.began_at,
        ended_at=round_.told_at,
    )


def _more(counts: dict[K, int], added: dict[K, int]) -> dict[K, int]:
    return counts | {key: counts.get(key, 0) + count for key, count in added.items()}
