from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Drift:
    to: str
    estimate: float
    low: float
    high: float
    answers: int
    newest: datetime


class Scores:
    def add(self, score: object) -> None:
        pass

    def drifts(self, adapter: str, stable: str) -> dict[str, Drift]:
        return {}
