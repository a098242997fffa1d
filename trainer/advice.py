"""What could be learned of what was said since an adapter's data ended. Door. Knows no torch."""

from pathlib import Path

from feedback.events import BASE
from trainer.adapters import verify
from trainer.plan import read_plan
from trainer.recommend import Advice as Advice
from trainer.recommend import advise
from trainer.tally import said


def advice(examples: Path, adapters: Path, adapter: str, needed: int) -> Advice:
    """On the next round on this adapter, for which so many lessons are enough."""
    after = {} if adapter == BASE else verify(adapters, adapter).watermark
    return advise(said(examples, adapter, after), needed)


def needed_by(plan: Path | None) -> int:
    """How many lessons a round by this plan needs."""
    return read_plan(plan).min_rows
