"""A judge that is asked both ways round, and nothing twice."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path

from trainer.judge import Judge
from trainer.judge_memory import JudgeMemory
from trainer.rubric import Case, Message, Ruling, Word, question, ruling, word_of
from trainer.settings import JudgeAt

AT_ONCE = 4  # cases: two questions each
Panel = Callable[[Sequence[Case]], list[Ruling]]


@contextmanager
def panel(at: JudgeAt, state: Path, rubric: str) -> Iterator[Panel]:
    """`state`: where it is remembered what was said."""
    with closing(JudgeMemory(state)) as memory, closing(Judge(at)) as judge:
        yield partial(rulings, judge, memory, rubric)


def rulings(judge: Judge, memory: JudgeMemory, rubric: str, cases: Sequence[Case]) -> list[Ruling]:
    both = [one for case in cases for one in (case, case.swapped())]
    words = _words(judge, memory, [question(one, rubric) for one in both])
    return [ruling(*two) for two in zip(words[::2], words[1::2], strict=True)]


def _words(judge: Judge, memory: JudgeMemory, questions: Sequence[Sequence[Message]]) -> list[Word]:
    asked = {_digest(judge.model, one): one for one in questions}
    kept = {digest: memory.word(digest) for digest in asked}
    known = {digest: word_of(word) for digest, word in kept.items() if word is not None}
    new = [digest for digest in asked if digest not in known]

    def heard(at: int, said: str | None) -> None:
        known[new[at]] = word = "declined" if said is None else word_of(said)
        if word not in ("declined", "unreadable"):  # it may be of another mind tomorrow
            memory.keep(new[at], word)

    judge.ask([asked[digest] for digest in new], heard)
    return [known[_digest(judge.model, one)] for one in questions]


def _digest(model: str, asked: Sequence[Message]) -> str:
    """Of the model, the rubric, the prompt, both answers and their order."""
    return sha256(json.dumps([model, *asked]).encode()).hexdigest()
