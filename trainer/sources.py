"""Examples → sources: what a round can use at all, and for what; what is dropped, and why. Pure.

Knows nothing of methods: a source is what one row, pair or ranking is made of.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple

from feedback.examples import Example, digest
from trainer.batch import Text
from trainer.plan import Plan
from trainer.reserved import is_held_out

_UNKNOWN = -9999.0  # vLLM's number for a log-probability that it did not compute
_DAY = timedelta(days=1)
_NEVER = datetime.min.replace(tzinfo=UTC)

Source = tuple[Example, ...]  # one example, or several with one prompt


class Parts(NamedTuple):
    """What a round uses, and for what."""

    train: list[Source]
    replay: list[Source]
    holdout: list[Source]

    @property
    def digest(self) -> str:
        return digest(example for sources in self for source in sources for example in source)

    def counts(self, texts: Iterable[Text], dropped: Counter[str]) -> dict[str, int]:
        """Of examples. `texts`: what was made of the sources, in their order."""
        used = {name: sum(map(len, sources)) for name, sources in self._asdict().items()}
        sources = (source for part in self for source in part)
        shortened = sum(
            len(source)
            for source, text in zip(sources, texts, strict=True)
            if len(text.prompt_ids) < len(source[0].prompt_ids)
        )
        told = used | ({"shortened": shortened} if shortened else {})
        return told | {f"dropped: {why}": n for why, n in sorted(dropped.items())}


def sift(
    fresh: Sequence[Example],
    older: Sequence[Example],
    *,
    plan: Plan,
    unfit: Callable[[Example], str | None],
    dropped: Counter[str],
) -> tuple[list[Example], list[Example]]:
    """Of both what can be learned from; `unfit` says why a method cannot use an example."""
    # Of those that count: one that was put aside must not make all others old.
    newest = max((one.judged_at for one in (*fresh, *older) if one.weight > 0), default=_NEVER)

    def is_sound(example: Example) -> bool:
        why = unfit(example) or _fault(example, plan, newest)
        if why is not None:
            dropped[why] += 1
        return why is None

    return list(filter(is_sound, fresh)), list(filter(is_sound, older))


def divide(own: list[Source], rest: list[Source], plan: Plan, dropped: Counter[str]) -> Parts:
    """Held-out users are in no training at all, and all their answers may serve to test."""
    train, own_held = _by_user(own, plan)
    replay, rest_held = (_draw(side, plan, dropped) for side in _by_user(rest, plan))
    return Parts(train, replay, own_held + rest_held)


def scarce(name: str, lessons: Sequence[object], plan: Plan) -> str | None:
    """Too few, or too much of the same: what is said twice of one answer teaches one answer."""
    if len(lessons) < plan.min_rows:
        return f"{len(lessons)} {name} to train on; expected {plan.min_rows}"
    different = len(set(lessons))
    if different < plan.min_rows:
        told = f"{len(lessons)} {name} to train on, but only {different} different"
        return f"{told}; expected {plan.min_rows} different"
    return None


def no_ids(ids: Sequence[int], text: str) -> str | None:
    if ids:
        return None
    return "no token ids" if text else "empty answer"


def shorten(prompt_ids: Sequence[int], longest: int, plan: Plan) -> tuple[int, ...]:
    """The end of the prompt, beside which so long an answer fits. One that fits none is dropped."""
    return tuple(prompt_ids[-(plan.max_row_tokens - longest) :])


def are_known(logprobs: Sequence[float]) -> bool:
    return min(logprobs, default=_UNKNOWN) > _UNKNOWN


def _fault(example: Example, plan: Plan, newest: datetime) -> str | None:
    # Truncated answers stay: without them the model forgets, over rounds, how to end.
    if example.weight <= 0:
        return "quarantined"
    if example.withheld:
        return "withheld"
    # Not by the clock: the same examples give the same rows, whenever that is.
    if plan.max_age_days is not None and (newest - example.judged_at) / _DAY > plan.max_age_days:
        return "too old"
    if why := no_ids(example.answer_ids, example.answer):
        return why
    if not example.prompt_ids:
        return "no token ids"
    return "too long" if len(example.answer_ids) >= plan.max_row_tokens else None


def _by_user(sources: list[Source], plan: Plan) -> tuple[list[Source], list[Source]]:
    held = [any(is_held_out(one, plan.holdout_percent) for one in source) for source in sources]
    return (
        [source for source, out in zip(sources, held, strict=True) if not out],
        [source for source, out in zip(sources, held, strict=True) if out],
    )


def _draw(pool: list[Source], plan: Plan, dropped: Counter[str]) -> list[Source]:
    drawn = Random(plan.seed).sample(pool, min(len(pool), plan.replay))
    left = sum(map(len, pool)) - sum(map(len, drawn))
    if left:
        dropped["beyond the replay cap"] += left
    return drawn
