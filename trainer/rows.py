"""Examples → rows to train on, to replay and to hold out: one for each thumb. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from feedback.examples import Example
from trainer.batch import Text
from trainer.items import Items
from trainer.plan import Plan
from trainer.reserved import few_of_each, is_held_out
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

    @property
    def answers(self) -> "tuple[Row]":
        return (self,)

    @property
    def people(self) -> list[tuple[str, str]]:
        return [(self.completion_id, self.user)]


def make_rows(fresh: list[Example], older: list[Example], *, parent: str, plan: Plan) -> Items[Row]:
    """Train on what the parent answered since it was made; replay some of the rest."""
    dropped = Counter[str]()

    def unfit(example: Example) -> str | None:
        return _unfit(example, plan)

    new, old = sift(fresh, older, plan=plan, unfit=unfit, dropped=dropped)
    own: list[Source] = [(example,) for example in new if example.adapter == parent]
    others = (example for example in new if example.adapter != parent)
    parts = divide(own, [(example,) for example in (*old, *others)], plan, dropped)
    train, replay, held = ([_row(one, parent, plan) for (one,) in sources] for sources in parts)
    counts = parts.counts((row.text for row in (*train, *replay, *held)), dropped)
    return Items(train, replay, held, counts, parts.digest)


def shortage(rows: Items[Row], plan: Plan) -> str | None:
    """Why these rows are not worth a round: it would learn little, or could not be judged."""
    return scarce("rows", [row.text for row in rows.train], plan) or unjudged(rows.holdout, plan)


def unjudged(holdout: Sequence[Row], plan: Plan) -> str | None:
    ups = sum(row.liked for row in holdout)
    return few_of_each(ups, len(holdout) - ups, plan.min_holdout)


def _unfit(example: Example, plan: Plan) -> str | None:
    if example.slot != "thumb" or example.up is None:
        return "not a thumb"
    # Imitation has no use for it but to test what it learned.
    testing = example.up or is_held_out(example, plan.holdout_percent)
    return None if testing or plan.method != "sft" else "not liked"


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
