"""One request and what has come of it so far, put together as the engine speaks. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from feedback.events import GROUP_END, Completion
from serving.ask import Ask, Part

# vLLM's own number for a token whose log-probability it did not compute; a stream leaves it out.
UNKNOWN_LOGPROB = -9999.0


class Chosen(NamedTuple):
    """`revision`: of the split that chose; None where it did not choose, so it is no evidence."""

    adapter: str
    revision: int | None = None


@dataclass
class _Choice:
    text: list[str] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish_reason: str | None = None

    def take(self, said: dict[str, Any]) -> None:
        words = said.get("delta") or said.get("message") or {}
        self.text.append(words.get("content") or "")
        self.ids += said.get("token_ids") or ()
        tokens = (said.get("logprobs") or {}).get("content") or ()
        self.logprobs += [token.get("logprob", UNKNOWN_LOGPROB) for token in tokens]
        self.finish_reason = said.get("finish_reason") or self.finish_reason


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

    def completions(self, at: datetime, total_seconds: float) -> Iterator[Completion]:
        """One for each choice. The error belongs to those that it kept from their end.

        An engine that failed before its first word leaves one too, with no answer: whoever counts
        an adapter's failures must see it.
        """
        choices = self._choices or ({0: _Choice()} if self.engine_failed else {})
        for index, choice in sorted(choices.items()):
            assert self.chosen is not None  # whoever answered, or failed, was asked
            yield Completion(
                at=at,
                id=f"{self.id}{GROUP_END}{index}" if index else self.id,
                conversation=self.ask.conversation,
                user=self.user,
                adapter=self.chosen.adapter,
                split_revision=self.chosen.revision,
                messages=tuple(self.ask.body["messages"]),
                answer="".join(choice.text),
                prompt_ids=self._prompt_ids,
                answer_ids=tuple(choice.ids),
                logprobs=tuple(choice.logprobs),
                parameters=self.ask.parameters,
                finish_reason=choice.finish_reason,
                first_token_seconds=self.first_seconds if self.ask.streams else None,
                total_seconds=total_seconds,
                error=None if choice.finish_reason else self.error,
            )
