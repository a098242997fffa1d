"""Examples → all that users said of answers, thumbs and comparisons and corrections alike. Pure."""

from collections.abc import Sequence
from hashlib import sha256

from feedback.examples import Example
from trainer.items import Items
from trainer.pairs import Pair, make_pairs
from trainer.plan import Plan
from trainer.region import LEAST
from trainer.rows import Row, make_rows, unjudged
from trainer.sides import Tokenize
from trainer.sources import scarce

Verdict = Row | Pair  # a thumb; or a comparison or a correction


def make_verdicts(
    fresh: list[Example], older: list[Example], *, parent: str, plan: Plan, tokenize: Tokenize
) -> Items[Verdict]:
    """Two opposite thumbs are no pair here: each is heard by itself."""
    thumbs, others = ([_of(part, up) for part in (fresh, older)] for up in (True, False))
    rows = make_rows(*thumbs, parent=parent, plan=plan)
    pairs = make_pairs(*others, parent=parent, plan=plan, tokenize=tokenize)
    return Items(
        train=[*rows.train, *pairs.train],
        replay=[*rows.replay, *pairs.replay],
        holdout=[*rows.holdout, *pairs.holdout],
        counts={
            name: rows.counts.get(name, 0) + pairs.counts.get(name, 0)
            for name in (rows.counts | pairs.counts)
        },
        digest=sha256(f"{rows.digest}{pairs.digest}".encode()).hexdigest(),
    )


def shortage_of_verdicts(verdicts: Items[Verdict], plan: Plan) -> str | None:
    """What is held out must be enough to judge a reward by: of thumbs, or of pairs."""
    lessons = [tuple(one.text for one in item.answers) for item in verdicts.train]
    if few := scarce("verdicts", lessons, plan):
        return few
    if (rated := sum(map(len, lessons))) < LEAST:  # whose region is to be known
        return f"{rated} rated answers to train on; expected {LEAST}"
    rows, pairs = apart([*verdicts.train, *verdicts.replay])
    if not pairs and len({row.liked for row in rows}) < 2:
        told = f"{len(rows)} thumbs {'up' if rows[0].liked else 'down'}"
        return f"{told} and nothing else to train on; expected what tells good answers from bad"
    rows, pairs = apart(verdicts.holdout)
    return None if len(pairs) >= max(plan.min_holdout, 1) else unjudged(rows, plan)


def apart(verdicts: Sequence[Verdict]) -> tuple[list[Row], list[Pair]]:
    rows = [one for one in verdicts if isinstance(one, Row)]
    return rows, [one for one in verdicts if isinstance(one, Pair)]


def _of(examples: list[Example], thumbs: bool) -> list[Example]:
    return [one for one in examples if (one.slot == "thumb") is thumbs]
