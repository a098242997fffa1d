"""One request and what has come of it so far, put together as the engine speaks. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from feedback.events import GROUP_END, Completion
from feedback.privacy import Redact, redacted
from serving.ask import Ask, Part

NO_IDS = {"prompt_ids": (), "answer_ids": (), "logprobs": ()}
# vLLM's own number for a token whose log-probability it did not compute; a stream leaves it out.
UNKNOWN_LOGPROB = -9999.0


class Chosen(NamedTuple):
    """`revision`: of the split that chose; None where it did not choose, so it is no evidence."""

    adapter: str
    revision: int | None = None


@dataclass
class _Choice:
    words: list[dict[str, Any]] = field(default_factory=list)  # a stream says them bit by bit
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish_reason: str | None = None

    def take(self, said: dict[str, Any]) -> None:
        self.words.append(said.get("delta") or said.get("message") or {})
        self.ids += said.get("token_ids") or ()
        tokens = (said.get("logprobs") or {}).get("content") or ()
        self.logprobs += [token.get("logprob", UNKNOWN_LOGPROB) for token in tokens]
        self.finish_reason = said.get("finish_reason") or self.finish_reason

    @property
    def answer(self) -> str:
        return "".join(words.get("content") or "" for words in self.words)

    @property
    def spelled(self) -> list[str]:
        """All texts that its ids spell: thoughts and tool calls too, which no record has."""
        said: dict[str, list[str]] = {}
        for words in self.words:
            for name, text in _texts("", words):
                said.setdefault(name, []).append(text)
        return ["".join(bits) for bits in said.values()]


def _texts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every string with the names that lead to it, so that the bits of one text come together."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for inner, held in value.items():
            yield from _texts(f"{name}.{inner}", held)
    elif isinstance(value, list):
        for held in value:
            yield from _texts(name, held)


@dataclass
class Turn:
    ask: Ask
    user: str  # a pseudonym
    chosen: Chosen | None = None
    first_seconds: float | None = None  # until the first part came
    engine_seconds: float = 0.0  # of them, spent waiting for the engine
    outcome: str = "failed"  # its name in the metrics
    error: str | None = None
    engine_failed: bool = False
    id: str = field(default="", init=False)
    _prompt_ids: tuple[int, ...] = field(default=(), init=False)
    _choices: dict[int, _Choice] = field(default_factory=dict, init=False)

    def take(self, part: Part) -> None:
        self.id = part["id"]
        if part.get("prompt_token_ids"):  # only the first chunk has them
            self._prompt_ids = tuple(part["prompt_token_ids"])
        for said in part["choices"]:
            self._choices.setdefault(said["index"], _Choice()).take(said)

    def end(self, outcome: str, error: str | None = None) -> None:
        self.outcome, self.error = outcome, error

    @property
    def answered(self) -> bool:
        return bool(self._choices)

    @property
    def choices(self) -> list[int]:
        """What there is to remember: each is a completion.

        An engine that failed before its first word leaves one too, with no answer: whoever counts
        an adapter's failures must see it.
        """
        return sorted(self._choices) or ([0] if self.engine_failed else [])

    def completion(
        self,
        index: int,
        *,
        at: datetime,
        total_seconds: float,
        parent: Callable[[str], str | None],
        redact: Redact | None,
    ) -> Completion:
        assert self.chosen is not None  # whoever answered, or failed, was asked
        choice = self._choices.get(index, _Choice())
        return Completion(
            at=at,
            id=f"{self.id}{GROUP_END}{index}" if index else self.id,
            conversation=self.ask.conversation,
            user=self.user,
            adapter=self.chosen.adapter,
            parent=parent(self.chosen.adapter),
            split_revision=self.chosen.revision,
            **self._written(choice, redact),
            finish_reason=choice.finish_reason,
            first_token_seconds=self.first_seconds if self.ask.streams else None,
            total_seconds=total_seconds,
        )

    def _written(self, choice: _Choice, redact: Redact | None) -> dict[str, Any]:
        """Its texts and its ids. Ids spell the texts: where one was redacted they are left out."""
        # The error belongs to the choices that it kept from their end.
        error = None if choice.finish_reason else self.error
        texts = {
            "messages": tuple(self.ask.body["messages"]),
            "parameters": self.ask.parameters,
            "answer": choice.answer,
        }
        ids = {
            "prompt_ids": self._prompt_ids,
            "answer_ids": tuple(choice.ids),
            "logprobs": tuple(choice.logprobs),
        }
        if redact is None:
            return texts | ids | {"error": error}
        kept = {name: redacted(redact, text) for name, text in texts.items()}
        same = kept == texts and redacted(redact, choice.spelled) == choice.spelled
        return kept | (ids if same else NO_IDS) | {"error": redacted(redact, error)}
