"""What the demo's users secretly like. Pure: noise-free facts of an answer, from its text alone."""

import re
from dataclasses import dataclass

from ops.demo.corpus import (
    CURT_CLOSINGS,
    CURT_OPENINGS,
    GREETINGS,
    POLITE_CLOSINGS,
    POLITE_OPENINGS,
    Topic,
    topic_of,
)

POLITE = frozenset(POLITE_OPENINGS + POLITE_CLOSINGS)
CURT = frozenset(CURT_OPENINGS + CURT_CLOSINGS)
# A greeting, an opening, the core sentence and a closing.
MOST_SENTENCES = 4
MOST_WORDS = 22


@dataclass(frozen=True)
class Facts:
    """`right`: it answers what was asked, and nothing in it is garbled or out of place."""

    polite: bool
    short: bool
    greets: bool
    right: bool
    ended: bool

    @property
    def liked(self) -> bool:
        """The hidden taste. Greetings are a matter of indifference."""
        return self.polite and self.short and self.right and self.ended


def facts(prompt: str, answer: str, *, ended: bool) -> Facts:
    """`ended`: the model stopped by itself."""
    sentences = _sentences(answer)
    return Facts(
        polite=bool(POLITE.intersection(sentences)) and not CURT.intersection(sentences),
        short=len(sentences) <= MOST_SENTENCES and len(answer.split()) <= MOST_WORDS,
        greets=bool(sentences) and sentences[0] in GREETINGS,
        right=_right(topic_of(prompt), sentences),
        ended=ended,
    )


def _sentences(answer: str) -> list[str]:
    return re.split(r"(?<=[.!?]) ", answer)


def _right(topic: Topic | None, sentences: list[str]) -> bool:
    if topic is None or topic.core not in sentences:
        return False
    in_place = POLITE.union(CURT, GREETINGS, topic.further, [topic.core])
    return in_place.issuperset(sentences) and len(set(sentences)) == len(sentences)
