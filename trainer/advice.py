"""What could be learned of what was said since an adapter's data ended. Door. Knows no torch."""

from pathlib import Path

from feedback.events import BASE
from feedback.examples import Watermark
from trainer.adapters import verify
from trainer.plan import read_plan
from trainer.recommend import Advice as Advice
from trainer.recommend import advise
from trainer.tally import said


def advice(
    examples: Path, adapters: Path, adapter: str, needed: int, until: Watermark | None = None
) -> Advice:
    """On the next round on this adapter, for which so many lessons are enough."""
    after = {} if adapter == BASE else verify(adapters, adapter).watermark
    return advise(said(examples, adapter, after, until), needed)


def needed_by(plan: Path | None) -> int:
    """How many lessons a round by this plan needs."""
    return read_plan(plan).min_rows
