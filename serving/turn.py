"""One request and what has come of it so far, put together as the engine speaks. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from feedback.events import GROUP_END
from feedback.privacy import CannotRedact, Redact, redacted
from serving.apis import Api, Part, Said
from serving.ask import Ask

Headers = tuple[tuple[str, str], ...]
NO_IDS: dict[str, tuple[float, ...]] = {"prompt_ids": (), "answer_ids": (), "logprobs": ()}


class Chosen(NamedTuple):
    """`revision`: of the split that chose; None where it did not choose, so it is no evidence."""

    adapter: str
    revision: int | None = None


class Token(NamedTuple):
    """Lets its bearer rate the answer of this id."""

    id: str
    signed: str


@dataclass
class _Choice:
    words: list[dict[str, Any]] = field(default_factory=list)  # a stream says them bit by bit
    prompt_ids: list[int] = field(default_factory=list)  # of its own prompt, where it has one
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish_reason: str | None = None

    def take(self, api: Api, said: Said) -> None:
        self.words.append(api.words(said))
        self.prompt_ids += said.get("prompt_token_ids") or ()
        self.ids += said.get("token_ids") or ()
        self.logprobs += api.logprobs(said)
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


class Away:
    """Counts the seconds in which others work: the engine, or the reader of the answer."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.seconds = 0.0
        self._clock, self._since = clock, 0.0

    def __enter__(self) -> None:
        self._since = self._clock()

    def __exit__(self, *_: object) -> None:
        self.seconds += self._clock() - self._since


@dataclass
class Turn:
    ask: Ask
    user: str  # a pseudonym
    away: Away
    chosen: Chosen | None = None
    first_seconds: float | None = None  # until the first part came
    outcome: str | None = None  # its name in the metrics, once it has ended
    error: str | None = None
    engine_failed: bool = False
    headers: Headers = ()  # for the engine: whose trace it is part of
    id: str = field(default="", init=False)
    token: Token | None = field(default=None, init=False)
    _prompt_ids: tuple[int, ...] = field(default=(), init=False)
    _choices: dict[int, _Choice] = field(default_factory=dict, init=False)

    def take(self, part: Part) -> Part:
        """Remember what is said; what the app may see of it."""
        self.id = part["id"]
        if part.get("prompt_token_ids"):  # only the first chunk has them
            self._prompt_ids = tuple(part["prompt_token_ids"])
        for said in part["choices"]:
            choice = self._choices.get(said["index"])
            if choice is None:
                choice = self._choices[said["index"]] = _Choice()
            choice.take(self.ask.api, said)
        return self.ask.hide(part)

    @property
    def tokens(self) -> dict[str, int]:
        """How many the prompts and the answers have."""
        choices = self._choices.values()
        prompts = len(self._prompt_ids) + sum(len(one.prompt_ids) for one in choices)
        return {"prompt": prompts, "answer": sum(len(one.ids) for one in choices)}

    @property
    def answered(self) -> bool:
        return bool(self._choices)

    @property
    def finish_reasons(self) -> list[str]:
        """Of the choices that came to their end."""
        reasons = [self._choices[index].finish_reason for index in sorted(self._choices)]
        return [reason for reason in reasons if reason]

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
    ) -> dict[str, Any]:
        """The fields of the event."""
        assert self.chosen is not None  # whoever answered, or failed, was asked
        choice = self._choices.get(index, _Choice())
        return {
            "at": at,
            "id": f"{self.id}{GROUP_END}{index}" if index else self.id,
            "conversation": self.ask.conversation,
            "user": self.user,
            "app": self.ask.app,
            "adapter": self.chosen.adapter,
            "parent": parent(self.chosen.adapter),
            "split_revision": self.chosen.revision,
            **self._written(index, choice, redact),
            "finish_reason": choice.finish_reason,
            "prompt_tokens": len(choice.prompt_ids or self._prompt_ids),
            "answer_tokens": len(choice.ids),
            "first_token_seconds": self.first_seconds if self.ask.streams else None,
            "total_seconds": total_seconds,
        }

    def _written(self, index: int, choice: _Choice, redact: Redact | None) -> dict[str, Any]:
        """Its texts and its ids. Ids spell the texts: where one was redacted they are left out."""
        # The error belongs to the choices that it kept from their end.
        error = None if choice.finish_reason else self.error
        messages, parameters = self.ask.api.asked(self.ask.body, index)
        texts = {"messages": messages, "parameters": parameters, "answer": choice.answer}
        ids: dict[str, tuple[float, ...]] = {
            "prompt_ids": tuple(choice.prompt_ids) or self._prompt_ids,
            "answer_ids": tuple(choice.ids),
            "logprobs": tuple(choice.logprobs),
        }
        if not self.ask.api.wish(self.ask.body):  # those that came are not of the answer alone
            ids = NO_IDS
        if redact and isinstance(parameters.get("prompt"), list):
            raise CannotRedact("its prompt is token ids, not a text")
        if redact is None:
            return texts | ids | {"error": error}
        kept = {name: redacted(redact, text) for name, text in texts.items()}
        same = kept == texts and redacted(redact, choice.spelled) == choice.spelled
        return kept | (ids if same else NO_IDS) | {"error": redacted(redact, error)}
