"""Examples → rows to train on, to replay and to hold out; what is dropped, and why. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from typing import NamedTuple

from feedback.examples import Example, digest
from trainer.batch import Text
from trainer.plan import Plan

_UNKNOWN = -9999.0  # vLLM's number for a log-probability that it did not compute


@dataclass(frozen=True)
class Row:
    """One rated answer. `logprobs`: the parent's, of each token; None where another answered."""

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
    counts: dict[str, int]  # every example that came in is counted once
    digest: str


def make_rows(fresh: list[Example], older: list[Example], *, parent: str, plan: Plan) -> Rows:
    """Train on what the parent answered since it was made; replay some of the rest.

    Held-out users are in no training at all, and all their answers may serve to test.
    """
    dropped: Counter[str] = Counter()
    sound = list(_sound(fresh, plan, dropped))
    own = [example for example in sound if example.adapter == parent]
    rest = [*_sound(older, plan, dropped), *(e for e in sound if e.adapter != parent)]
    train, own_held = _by_user(own, plan)
    replay, rest_held = (_draw(side, plan, dropped) for side in _by_user(rest, plan))
    held = own_held + rest_held
    used = {"train": len(train), "replay": len(replay), "holdout": len(held)}
    return Rows(
        train=[_row(example, parent) for example in train],
        replay=[_row(example, parent) for example in replay],
        holdout=[_row(example, parent) for example in held],
        counts=used | {f"dropped: {why}": n for why, n in sorted(dropped.items())},
        digest=digest([*train, *replay, *held]),
    )


def held_out(user: str, percent: float) -> bool:
    """The same answer for a user in every round, so that no test ever saw its own data."""
    hashed = blake2b(f"holdout:{user}".encode(), digest_size=8).digest()
    return int.from_bytes(hashed) / 2**64 * 100 < percent


def shortage(rows: Rows, plan: Plan) -> str | None:
    """Why these rows are not worth a round: its result could not be judged."""
    if len(rows.train) < plan.min_rows:
        return f"{len(rows.train)} rows to train on; expected {plan.min_rows}"
    ups = sum(row.liked for row in rows.holdout)
    downs = len(rows.holdout) - ups
    if min(ups, downs) < plan.min_holdout:
        return f"{ups} ups and {downs} downs held out; expected {plan.min_holdout} of each"
    return None


def _sound(examples: Sequence[Example], plan: Plan, dropped: Counter[str]) -> Iterator[Example]:
    for example in examples:
        why = _fault(example, plan)
        if why is None:
            yield example
        else:
            dropped[why] += 1


def _fault(example: Example, plan: Plan) -> str | None:
    # Truncated answers stay: without them the model forgets, over rounds, how to end.
    if example.slot != "thumb" or example.up is None:
        return "not a thumb"
    if example.weight <= 0:
        return "quarantined"
    if not example.answer_ids and not example.answer:
        return "empty answer"
    if not example.prompt_ids or not example.answer_ids:
        return "no token ids"
    if len(example.prompt_ids) + len(example.answer_ids) > plan.max_row_tokens:
        return "too long"
    return None


def _by_user(examples: list[Example], plan: Plan) -> tuple[list[Example], list[Example]]:
    held = [held_out(example.user, plan.holdout_percent) for example in examples]
    return (
        [example for example, out in zip(examples, held, strict=True) if not out],
        [example for example, out in zip(examples, held, strict=True) if out],
    )


def _draw(pool: list[Example], plan: Plan, dropped: Counter[str]) -> list[Example]:
    drawn = Random(plan.seed).sample(pool, min(len(pool), plan.replay))
    if len(drawn) < len(pool):
        dropped["beyond the replay cap"] += len(pool) - len(drawn)
    return drawn


def _row(example: Example, parent: str) -> Row:
    known = example.adapter == parent and min(example.logprobs) > _UNKNOWN
    return Row(
        completion_id=example.completion_id,
        user=example.user,
        text=Text(tuple(example.prompt_ids), tuple(example.answer_ids)),
        liked=bool(example.up),
        weight=example.weight,
        logprobs=tuple(example.logprobs) if known else None,
    )
