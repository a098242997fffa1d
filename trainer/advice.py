"""What a plan's round could learn of what was said since an adapter's data ended. Door.

Knows no torch.
"""

from pathlib import Path

from feedback.events import BASE
from feedback.examples import Watermark
from trainer.adapters import verify
from trainer.golden import read_golden
from trainer.guide import read_guide
from trainer.plan import Plan
from trainer.plan_file import BadPlan as BadPlan
from trainer.plan_file import read_plan
from trainer.recommend import Advice as Advice
from trainer.recommend import advise
from trainer.tally import said


def read_whole(path: Path | None) -> Plan:
    """A plan whose files can be read, too. Each round reads those anew."""
    plan = read_plan(path)
    read_golden(plan.golden)
    read_guide(plan)
    return plan


def advice(
    examples: Path, adapters: Path, adapter: str, plan: Plan, until: Watermark | None = None
) -> Advice:
    """On the next round on this adapter."""
    after = {} if adapter == BASE else verify(adapters, adapter).watermark
    found = said(examples, adapter, after, until, plan.holdout_percent)
    return advise(found, plan.min_rows)
