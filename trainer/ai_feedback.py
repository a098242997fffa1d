"""What an AI says beside the users: a judge, and the model itself by a constitution.

It teaches, and tests nothing. Asked once a round: one that died goes on with what it was told.
"""

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple

from trainer.batch import Text
from trainer.checkpoint import Checkpoint
from trainer.constitution import rewritten
from trainer.course import Places
from trainer.drawn import prompts_of
from trainer.endings import RoundFailed
from trainer.guide import read_guide, require_judge
from trainer.items import Items
from trainer.judged import judged
from trainer.labels import Labels, beside
from trainer.pairs import Origin
from trainer.panel import AT_ONCE, Panel, panel
from trainer.plan import Plan
from trainer.policy import Policy, Speak
from trainer.probes import Probes
from trainer.ranks import Ranks
from trainer.rubric import Case, Ruling
from trainer.watched import Tell
from trainer.words import Words

Told = dict[Origin, Labels]
_log = logging.getLogger("trainer")


class Heard(NamedTuple):
    """What an AI said beside users; and who it was, with the digests of what it went by."""

    items: Items[Any]
    advisers: dict[str, str]


class _Kept(NamedTuple):
    """For a round that goes on: whatever its files have become, this was said by those."""

    advisers: dict[str, str]
    told: Told


class AiFeedback:
    """What is wrong with its files is told before anything is read or loaded."""

    def __init__(self, places: Places, probes: Probes, tell: Tell, ranks: Ranks) -> None:
        self._plan, self._words = probes.plan, probes.words
        self._guide = read_guide(probes.plan)
        self._places, self._tell, self._ranks = places, tell, ranks
        require_judge(probes.plan, places.judge)
        _require_words(probes.plan, probes.words)

    def heard(self, policy: Policy, items: Items[Any]) -> Heard:
        """What is asked at the round's start, of the parent's answers."""
        if not _wanted(self._plan):
            return Heard(items, {})
        checkpoint = Checkpoint(self._places.state)
        kept = self._ranks.from_first(lambda: _read(checkpoint.labels()))
        if kept is None:
            kept = _Kept(self._advisers(), self._asked(policy, items))
            self._ranks.only_first(checkpoint.keep_labels)(_written(kept))
        return Heard(beside(items, kept.told, self._plan), kept.advisers)

    def _advisers(self) -> dict[str, str]:
        """The plan knows no more of what they go by than files."""
        plan, guide, found = self._plan, self._guide, dict[str, str]()
        if plan.judged_pairs and self._places.judge:
            found |= {"judge": self._places.judge.model, "judge_rubric": _digest(guide.rubric)}
        if plan.rewritten_answers:
            found["constitution"] = _digest("\n".join(guide.principles))
        return found

    def _asked(self, policy: Policy, items: Items[Any]) -> Told:
        assert self._words is not None
        plan, told = self._plan, Told()
        prompts = prompts_of(items, plan)
        speak: Speak = partial(policy.sample, who="parent")
        if plan.judged_pairs:
            told["judge"] = judged(speak, self._rulings, prompts, self._words, plan)
        if plan.rewritten_answers:
            self._tell("constitution", 0, 1)
            principles = self._guide.principles
            told["constitution"] = rewritten(speak, prompts, self._words, principles, plan)
            self._tell("constitution", 1, 1)
        for origin, labels in told.items():
            if not labels.pairs:
                counts = ", ".join(f"{name} {n}" for name, n in labels.counts.items())
                _log.warning("nothing was learned of what the %s said: %s", origin, counts)
        return told

    def _rulings(self, cases: Sequence[Case]) -> list[Ruling]:
        """The first alone asks: few at a time, for all others wait so long."""
        found: list[Ruling] = []
        with self._panel() if self._ranks.first else nullcontext(_nobody) as ask:
            self._tell("judge", 0, len(cases))
            for at in range(0, len(cases), AT_ONCE):
                part = cases[at : at + AT_ONCE]
                found += self._ranks.from_first(partial(ask, part))
                self._tell("judge", len(found), len(cases))
        return found

    def _panel(self) -> AbstractContextManager[Panel]:
        assert self._places.judge is not None
        return panel(self._places.judge, self._places.state, self._guide.rubric)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _nobody(cases: Sequence[Case]) -> list[Ruling]:
    raise AssertionError("the first process asks")


def _wanted(plan: Plan) -> bool:
    return plan.judged_pairs + plan.rewritten_answers > 0


def _require_words(plan: Plan, words: Words | None) -> None:
    if not _wanted(plan):
        return
    if words is None:
        raise RoundFailed("AI feedback: the base model has no tokenizer; expected one to read it")
    if plan.rewritten_answers:
        try:
            words.chat_ids("Hello")
        except ValueError as error:
            told = f"rewritten_answers is {plan.rewritten_answers}"
            raise RoundFailed(f"{told}; expected a chat template: {error}") from error


def _written(kept: _Kept) -> object:
    told = {origin: [labels.pairs, labels.counts] for origin, labels in kept.told.items()}
    return {"advisers": kept.advisers, "told": told}


def _read(kept: Any) -> _Kept | None:
    if not isinstance(kept, dict) or kept.keys() != {"advisers", "told"}:
        return None
    told: Told = {
        origin: Labels([(_text(*better), _text(*worse)) for better, worse in pairs], counts)
        for origin, (pairs, counts) in kept["told"].items()
    }
    return _Kept(kept["advisers"], told)


def _text(prompt: list[int], answer: list[int]) -> Text:
    return Text(tuple(prompt), tuple(answer))
