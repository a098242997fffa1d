"""Prompts and answers as packed rows: no padding, and a shared prompt laid out once. Pure.

Knows nothing of models: tokens, what each may look at, and which of them predict an answer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from trainer.batch import Text


class Span(NamedTuple):
    start: int
    end: int


class Segment(NamedTuple):
    """Tokens that look at those before them in the segment, and at the whole of a prefix."""

    own: Span  # among the tokens of this row
    prefix: Span | None  # among all that can be looked at: a row before, if any, then this one


@dataclass
class Packed:
    """One row. From `predictors` to `places` they have an entry for each answer token.

    A row may look back at the one before: what can be looked at then starts with that row.
    """

    before: int = 0  # tokens of the row before
    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    prompts: dict[int, Span] = field(default_factory=dict)  # of the texts that are in this row
    predictors: list[int] = field(default_factory=list)  # where it is predicted, like a prefix
    targets: list[int] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)  # which text it is of
    places: list[int] = field(default_factory=list)  # the how-manieth token of the answer it is
    lasts: dict[int, int] = field(default_factory=dict)  # where each text's last token stands

    def lay(self, ids: Sequence[int], position: int, prefix: Span | None) -> Span:
        """Put down a new segment."""
        own = Span(len(self.ids), len(self.ids) + len(ids))
        self.ids += ids
        self.positions += range(position, position + len(ids))
        self.segments.append(Segment(own, prefix))
        return own

    def expect(self, owner: int, answer: Sequence[int], prompt: Span, start: int) -> None:
        """An answer that begins at `start` of this row: its first token the prompt predicts."""
        start += self.before
        self.prompts[owner] = prompt
        self.lasts[owner] = start + len(answer) - 1
        self.predictors += [prompt.end - 1, *range(start, start + len(answer) - 1)][: len(answer)]
        self.targets += answer
        self.owners += [owner] * len(answer)
        self.places += range(len(answer))


def pack(texts: Sequence[Text], max_tokens: int) -> list[Packed]:
    """Rows of at most so many tokens; a longer text has a row of its own."""
    rows: list[Packed] = []
    for prompt, owners in _by_prompt(texts).items():
        seen: Span | None = None  # the prompt, where this row has it already
        for owner in owners:
            answer = texts[owner].answer_ids
            more = len(answer) + (0 if seen else len(prompt))
            if not rows or len(rows[-1].ids) + more > max_tokens:
                rows.append(Packed())
                seen = None
            seen = _add(rows[-1], owner, texts[owner], seen)
    return rows


def follow(row: Packed, texts: Sequence[Text]) -> Packed:
    """The answers of these texts alone, to the prompts that `row` has laid out."""
    after = Packed(before=len(row.ids))
    for owner, prompt in row.prompts.items():
        text = texts[owner]
        if tuple(row.ids[slice(*prompt)]) != text.prompt_ids:
            raise ValueError(f"text {owner} has another prompt than the row before; expected one")
        own = after.lay(text.answer_ids, len(text.prompt_ids), prompt)
        after.expect(owner, text.answer_ids, prompt, own.start)
    return after


def _add(row: Packed, owner: int, text: Text, seen: Span | None) -> Span:
    """The first answer goes on where its prompt ends; others look back at that prompt."""
    size = len(text.prompt_ids)
    if seen is None:
        own = row.lay((*text.prompt_ids, *text.answer_ids), 0, None)
        seen = Span(own.start, own.start + size)
        row.expect(owner, text.answer_ids, seen, seen.end)
    else:
        own = row.lay(text.answer_ids, size, seen)
        row.expect(owner, text.answer_ids, seen, own.start)
    return seen


def _by_prompt(texts: Iterable[Text]) -> dict[tuple[int, ...], list[int]]:
    found: dict[tuple[int, ...], list[int]] = {}
    for owner, text in enumerate(texts):
        if not text.prompt_ids or not text.answer_ids:
            sizes = f"{len(text.prompt_ids)} tokens of prompt and {len(text.answer_ids)} of answer"
            raise ValueError(f"text {owner} has {sizes}; expected some of each")
        found.setdefault(text.prompt_ids, []).append(owner)
    return found
