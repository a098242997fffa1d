"""The two answers that a verdict compares, the better first; what is wrong with them. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from feedback.examples import Example
from trainer.batch import Text
from trainer.plan import Plan
from trainer.sources import are_known, no_ids, shorten

# What a person wrote → the ids of that answer, with the one that ends it: all that the model learns
# of how to end comes from its answers. It knows no prompt and no chat template.
Tokenize = Callable[[str], Sequence[int]]
Ids = tuple[int, ...]


@dataclass(frozen=True)
class Side:
    """One answer. `logprobs`: as a row's. A correction has the corrected one's id; what no user
    was ever given has none.
    """

    completion_id: str
    user: str  # who asked; of a correction, who wrote it
    text: Text
    logprobs: tuple[float, ...] | None
    reward: float | None = None  # what an outcome says; of a ranking, how high it stands


class Said(NamedTuple):
    """One answer, before it has its prompt."""

    completion_id: str
    user: str
    adapter: str | None  # None: a person's
    ids: Ids
    logprobs: Sequence[float]


def unfit(example: Example) -> str | None:
    """Why it says of no answer that it is good, bad, or better than another."""
    if example.slot == "comparison":
        # A tie says nothing, and of two bad answers none is to be chosen.
        return None if example.winner in ("a", "b") else f"no winner: {example.winner}"
    said = {"thumb": example.up, "correction": example.correction}.get(example.slot)
    return "neither a thumb, a comparison nor a correction" if said is None else None


def own(example: Example) -> Said:
    ids = tuple(example.answer_ids)
    return Said(example.completion_id, example.user, example.adapter, ids, example.logprobs)


def both(example: Example, read: Tokenize) -> tuple[Said, Said]:
    """Of a comparison or a correction: the better, and the worse."""
    given = own(example)
    if example.correction is not None:
        ids = tuple(read(example.correction))
        return Said(example.completion_id, example.rater, None, ids, ()), given
    assert example.rival_id is not None  # a comparison settles once both are known
    rival = Said(
        example.rival_id,
        example.user,  # both answers to one request are for one user
        example.rival_adapter,
        tuple(example.rival_answer_ids or ()),
        example.rival_logprobs or (),
    )
    return (given, rival) if example.winner == "a" else (rival, given)


def flaw(example: Example, read: Tokenize, plan: Plan) -> str | None:
    """What is wrong with the two answers of a comparison or a correction."""
    if example.slot == "comparison" and (
        why := no_ids(example.rival_answer_ids or (), example.rival_answer or "")
    ):
        return why
    better, worse = both(example, read)
    if not better.ids:
        return "a correction of no tokens"
    if max(len(better.ids), len(worse.ids)) >= plan.max_row_tokens:
        return "too long"
    # Sent as it was: its ids may be others, where the answer was drawn or cut off otherwise.
    same = better.ids == worse.ids or example.correction == example.answer
    return "both answers are the same" if same else None


def sides(
    asked: Sequence[int],
    said: Sequence[Said],
    rewards: Sequence[float | None],
    parent: str,
    plan: Plan,
) -> tuple[Side, ...]:
    """These answers under one prompt, short enough for the longest of them."""
    prompt = shorten(asked, max(len(one.ids) for one in said), plan)
    whole = len(prompt) == len(asked)  # the engine's were under the whole prompt

    def side(one: Said, reward: float | None) -> Side:
        known = whole and one.adapter == parent and are_known(one.logprobs)
        logprobs = tuple(one.logprobs) if known else None
        return Side(one.completion_id, one.user, Text(prompt, one.ids), logprobs, reward)

    return tuple(map(side, said, rewards))
