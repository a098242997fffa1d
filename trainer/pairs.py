"""Examples → pairs: two answers to one prompt, one of them better; what is dropped, and why. Pure.

A comparison is a pair, and so is a correction. Of thumbs two opposite ones are.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

from feedback.examples import Example
from trainer.batch import Text
from trainer.opposites import opposites
from trainer.plan import Plan
from trainer.sources import Source, are_known, divide, no_ids, scarce, shorten, sift

# What a person wrote → the ids of that answer, with the one that ends it: all that the model learns
# of how to end comes from its answers. It knows no prompt and no chat template.
Tokenize = Callable[[str], Sequence[int]]


@dataclass(frozen=True)
class Side:
    """One answer of a pair. `logprobs`: as a row's. A correction has the corrected one's id."""

    completion_id: str
    user: str  # who asked
    text: Text
    logprobs: tuple[float, ...] | None
    reward: float | None = None  # what a judge or a reward model gives


@dataclass(frozen=True)
class Pair:
    chosen: Side
    rejected: Side
    weight: float
    origin: Literal["comparison", "correction", "thumbs"]


class PairedRows(NamedTuple):
    """As `Rows`. The counts are of examples: two opposite thumbs are one pair."""

    train: list[Pair]
    replay: list[Pair]
    holdout: list[Pair]
    counts: dict[str, int]
    digest: str


class _Answer(NamedTuple):
    completion_id: str
    adapter: str | None  # None: a person's
    ids: tuple[int, ...]
    logprobs: Sequence[float]


def make_pairs(
    fresh: list[Example], older: list[Example], *, parent: str, plan: Plan, tokenize: Tokenize
) -> PairedRows:
    """Train on what is new of the parent's answers, whatever they are compared with."""
    dropped, read = Counter[str](), cache(tokenize)
    new, old = sift(fresh, older, plan=plan, unfit=_unfit, dropped=dropped)
    identities = {example.identity for example in new}

    def is_own(source: Source) -> bool:
        adapters = {name for one in source for name in (one.adapter, one.rival_adapter)}
        return parent in adapters and any(one.identity in identities for one in source)

    sources = list(_sources([*old, *new], read, plan, dropped))
    own, rest = ([one for one in sources if is_own(one) == wanted] for wanted in (True, False))
    parts = divide(own, rest, plan, dropped)
    train, replay, held = ([_pair(one, read, parent, plan) for one in part] for part in parts)
    counts = parts.counts((pair.chosen.text for pair in (*train, *replay, *held)), dropped)
    return PairedRows(train, replay, held, counts, parts.digest)


def shortage_of_pairs(pairs: PairedRows, plan: Plan) -> str | None:
    """As `shortage` of rows. A pair holds an up and a down."""
    texts = [(pair.chosen.text, pair.rejected.text) for pair in pairs.train]
    if few := scarce("pairs", texts, plan):
        return few
    if len(pairs.holdout) < plan.min_holdout:
        return f"{len(pairs.holdout)} pairs held out; expected {plan.min_holdout}"
    return None


def _unfit(example: Example) -> str | None:
    if example.slot == "comparison":
        # A tie says nothing, and of two bad answers none is to be chosen.
        return None if example.winner in ("a", "b") else f"no winner: {example.winner}"
    said = {"thumb": example.up, "correction": example.correction}.get(example.slot)
    return "neither a thumb, a comparison nor a correction" if said is None else None


def _sources(
    sound: Iterable[Example], read: Tokenize, plan: Plan, dropped: Counter[str]
) -> Iterator[Source]:
    thumbs = []
    for example in sound:
        if example.slot == "thumb":
            thumbs.append(example)
        elif why := _flaw(example, read, plan):
            dropped[why] += 1
        else:
            yield (example,)
    yield from opposites(thumbs, plan, dropped)


def _flaw(example: Example, read: Tokenize, plan: Plan) -> str | None:
    """What is wrong with the two answers of a comparison or a correction."""
    if example.slot == "comparison" and (
        why := no_ids(example.rival_answer_ids or (), example.rival_answer or "")
    ):
        return why
    chosen, rejected = _answers((example,), read)
    if not chosen.ids:
        return "a correction of no tokens"
    if max(len(chosen.ids), len(rejected.ids)) >= plan.max_row_tokens:
        return "too long"
    # Sent as it was: its ids may be others, where the answer was drawn or cut off otherwise.
    same = chosen.ids == rejected.ids or example.correction == example.answer
    return "both answers are the same" if same else None


def _answers(source: Source, read: Tokenize) -> tuple[_Answer, _Answer]:
    """The better, and the worse."""
    first = source[0]
    given = [_own(example) for example in source]
    if first.slot == "thumb":
        return given[0], given[1]
    if first.correction is not None:
        return _Answer(first.completion_id, None, tuple(read(first.correction)), ()), given[0]
    assert first.rival_id is not None  # a comparison settles once both are known
    rival = _Answer(
        first.rival_id,
        first.rival_adapter,
        tuple(first.rival_answer_ids or ()),
        first.rival_logprobs or (),
    )
    return (given[0], rival) if first.winner == "a" else (rival, given[0])


def _own(example: Example) -> _Answer:
    ids = tuple(example.answer_ids)
    return _Answer(example.completion_id, example.adapter, ids, example.logprobs)


def _pair(source: Source, read: Tokenize, parent: str, plan: Plan) -> Pair:
    chosen, rejected = _answers(source, read)
    asked = source[0].prompt_ids
    prompt = shorten(asked, max(len(chosen.ids), len(rejected.ids)), plan)  # one for both

    def side(answer: _Answer, user: str) -> Side:
        known = answer.adapter == parent and are_known(answer.logprobs)
        whole = len(prompt) == len(asked)  # the engine's were under the whole prompt
        logprobs = tuple(answer.logprobs) if known and whole else None
        return Side(answer.completion_id, user, Text(prompt, answer.ids), logprobs)

    # Both answers to one request are for one user.
    return Pair(
        chosen=side(chosen, source[0].user),
        rejected=side(rejected, source[-1].user),
        weight=min(example.weight for example in source),
        origin=_origin(source[0]),
    )


def _origin(first: Example) -> Literal["comparison", "correction", "thumbs"]:
    if first.slot == "thumb":
        return "thumbs"
    return "correction" if first.correction is not None else "comparison"
