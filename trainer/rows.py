"""Examples → rows to train on, to replay and to hold out: one for each thumb. Pure."""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from feedback.examples import Example
from trainer.batch import Text
from trainer.plan import Plan
from trainer.sources import Source, are_known, divide, scarce, shorten, sift


@dataclass(frozen=True)
class Row:
    """One rated answer. `logprobs`: the parent's, of each token; None where they are not known."""

    completion_id: str
    user: str
    text: Text
    liked: bool
    weight: float
    logprobs: tuple[float, ...] | None


class Rows(NamedTuple):
    train: list[Row]
    replay: list[Row]
    holdout: list[Row]
    counts: dict[str, int]  # every example is used or dropped once; `shortened` are among the used
    digest: str


def make_rows(fresh: list[Example], older: list[Example], *, parent: str, plan: Plan) -> Rows:
    """Train on what the parent answered since it was made; replay some of the rest."""
    dropped = Counter[str]()
    new, old = sift(fresh, older, plan=plan, unfit=_unfit, dropped=dropped)
    own: list[Source] = [(example,) for example in new if example.adapter == parent]
    others = (example for example in new if example.adapter != parent)
    parts = divide(own, [(example,) for example in (*old, *others)], plan, dropped)
    train, replay, held = ([_row(one, parent, plan) for (one,) in sources] for sources in parts)
    counts = parts.counts((row.text for row in (*train, *replay, *held)), dropped)
    return Rows(train, replay, held, counts, parts.digest)


def shortage(rows: Rows, plan: Plan) -> str | None:
    """Why these rows are not worth a round: it would learn little, or could not be judged."""
    if few := scarce("rows", [row.text for row in rows.train], plan):
        return few
    ups = sum(row.liked for row in rows.holdout)
    downs = len(rows.holdout) - ups
    if min(ups, downs) < plan.min_holdout:
        return f"{ups} ups and {downs} downs held out; expected {plan.min_holdout} of each"
    return None


def _unfit(example: Example) -> str | None:
    return "not a thumb" if example.slot != "thumb" or example.up is None else None


def _row(example: Example, parent: str, plan: Plan) -> Row:
    prompt = shorten(example.prompt_ids, len(example.answer_ids), plan)
    # The engine's were under the whole prompt.
    whole = len(prompt) == len(example.prompt_ids)
    known = whole and example.adapter == parent and are_known(example.logprobs)
    return Row(
        completion_id=example.completion_id,
        user=example.user,
        text=Text(prompt, tuple(example.answer_ids)),
        liked=bool(example.up),
        weight=example.weight,
        logprobs=tuple(example.logprobs) if known else None,
    )
