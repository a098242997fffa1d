"""What a round learns, and from where: its parent, and what settled since the parent's data ended.

Where it is told how far an earlier reading went, it reads no further.
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from feedback.events import BASE
from feedback.examples import Watermark, read
from trainer.adapters import verify
from trainer.plan import Plan
from trainer.rows import Rows, make_rows


@dataclass(frozen=True)
class Places:
    """What a round reads and writes."""

    base: str  # the base model, a folder or a name
    series: str  # adapters are SERIES-v1, SERIES-v2 ...
    examples: Path
    adapters: Path
    state: Path


class Course(NamedTuple):
    parent: str
    folder: Path | None  # of the parent
    rows: Rows
    watermark: Watermark


def read_course(places: Places, parent: str, plan: Plan, until: Watermark | None = None) -> Course:
    """What settled after the parent's data ended is new; all before that may be replayed."""
    after = {} if parent == BASE else verify(places.adapters, parent).watermark
    fresh = read(places.examples, after, until)
    new = {example.identity for example in fresh.examples}
    # The same moment for both: what settles meanwhile is for the next round.
    before = read(places.examples, until=fresh.watermark).examples if after else []
    older = [example for example in before if example.identity not in new]
    return Course(
        parent=parent,
        folder=None if parent == BASE else places.adapters / parent,
        rows=make_rows(fresh.examples, older, parent=parent, plan=plan),
        watermark=fresh.watermark,
    )


def digest_of(plan: Plan) -> str:
    return sha256(plan.model_dump_json().encode()).hexdigest()
