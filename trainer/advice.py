"""What a plan's round could learn of what was said since an adapter's data ended, and whether the
files that it names can be read. Door. Knows no torch.
"""

from pathlib import Path

from feedback.events import BASE
from feedback.examples import Watermark
from trainer.adapters import verify
from trainer.golden import read_golden
from trainer.guide import read_guide
from trainer.plan import Plan
from trainer.plan_file import BadPlan as BadPlan
from trainer.plan_file import read_plan as read_plan
from trainer.recommend import Advice as Advice
from trainer.recommend import advise
from trainer.tally import said


def check_files(plan: Plan) -> None:
    """Raises BadPlan. Each round reads them anew; what is wrong today is told today."""
    read_golden(plan.golden)
    read_guide(plan)


def advice(
    examples: Path, adapters: Path, adapter: str, plan: Plan, until: Watermark | None = None
) -> Advice:
    """On the next round on this adapter."""
    after = {} if adapter == BASE else verify(adapters, adapter).watermark
    found = said(examples, adapter, after, until, plan.holdout_percent)
    return advise(found, plan.min_rows, plan.min_holdout)
