"""Which of the answers that were served are scored. Pure.

A sample: what is not picked in time is forgotten. Nothing in an answer's text decides.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from feedback.events import Completion
from trainer.sources import are_known

BATCH = 4  # answers at a time: so long, at most, a core is busy without a pause
_WAITING = 60  # of each adapter, whole with their texts
# What leaves a model's own distribution as it is, of all that vLLM takes to change it.
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "temperature": (1,),
    "top_p": (1,),
    "top_k": (0, -1),
    "min_p": (0,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "repetition_penalty": (1,),
    "min_tokens": (0,),
    "ignore_eos": (False,),
    "logit_bias": ({},),
    "allowed_token_ids": (),
    "bad_words": ([],),
    "response_format": ({"type": "text"},),
    "structured_outputs": (),
    "tool_choice": ("auto", "none"),
}


class Waiting:
    """The newest answers of each adapter that were not scored, by id: some are logged twice."""

    def __init__(self) -> None:
        self._of: defaultdict[str, dict[str, Completion]] = defaultdict(dict)

    def add(self, completion: Completion) -> None:
        mine = self._of[completion.adapter]
        mine.setdefault(completion.id, completion)
        if len(mine) > _WAITING:
            del mine[next(iter(mine))]

    def take(self, stable: str, canary: str | None, most: int = BATCH) -> list[Completion]:
        """The canary's first, up to half, then stable's; more where the other has too few."""
        for gone in self._of.keys() - {stable, canary}:
            del self._of[gone]
        first, then = self._of.get(canary or "", {}), self._of.get(stable, {})
        of_canary = min(len(first), max(most - most // 2, most - len(then)))
        of_stable = min(len(then), most - of_canary)
        picked = [first] * of_canary + [then] * of_stable
        return [waiting.popitem()[1] for waiting in picked]  # the newest


def can_be_scored(one: Completion, most_tokens: int) -> bool:
    """Whole, and served by the split: who names an adapter chose it, and is no sample.

    Too long a one is left out, not shortened: the engine saw all of its prompt.
    """
    return (
        one.split_revision is not None
        and one.error is None
        and bool(one.prompt_ids and one.answer_ids)
        and are_known(one.logprobs)
        and len(one.prompt_ids) + len(one.answer_ids) <= most_tokens
    )


def is_faithful(parameters: Mapping[str, Any], usual: Mapping[str, Any]) -> bool:
    """Was it drawn as the model is? `usual`: what the engine takes where a request says nothing."""
    asked = {name: value for name, value in parameters.items() if value is not None}
    told = {**usual, **asked}
    return all(told[name] in neutral for name, neutral in _NEUTRAL.items() if name in told)
