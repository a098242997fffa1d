"""What a round learns, and from where: its parent, and what settled since the parent's data ended.

Where it is told how far an earlier reading went, it reads no further.
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from feedback.events import BASE
from feedback.examples import Watermark, read
from trainer.adapters import verify
from trainer.items import Items
from trainer.kinds import ways
from trainer.plan import Plan
from trainer.settings import Engines, JudgeAt
from trainer.sides import Tokenize


@dataclass(frozen=True)
class Places:
    """What a round reads and writes."""

    base: str  # the base model, a folder or a name
    series: str  # adapters are SERIES-v1, SERIES-v2 ...
    examples: Path
    adapters: Path
    state: Path
    judge: JudgeAt | None = None  # where an LLM judges, if one does
    engines: Engines | None = None  # that draw fresh answers, if any do


class Course(NamedTuple):
    parent: str
    folder: Path | None  # of the parent
    items: Items[Any]  # of the plan's method
    watermark: Watermark
    advisers: tuple[tuple[str, str], ...] = ()  # an AI that teaches beside users


def read_course(
    places: Places, parent: str, plan: Plan, tokenize: Tokenize, until: Watermark | None = None
) -> Course:
    """What settled after the parent's data ended is new; all before that may be replayed."""
    after = {} if parent == BASE else verify(places.adapters, parent).watermark
    fresh = read(places.examples, after, until)
    new = {example.identity for example in fresh.examples}
    # The same moment for both: what settles meanwhile is for the next round.
    before = read(places.examples, until=fresh.watermark).examples if after else []
    older = [example for example in before if example.identity not in new]
    made = ways(plan).items(fresh.examples, older, parent=parent, plan=plan, tokenize=tokenize)
    return Course(
        parent=parent,
        folder=None if parent == BASE else places.adapters / parent,
        items=made,
        watermark=fresh.watermark,
    )


def digest_of(plan: Plan) -> str:
    return sha256(plan.model_dump_json().encode()).hexdigest()
