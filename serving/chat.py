"""STORY: who is asking, which adapter answers, the answer, and what is remembered of it."""

import logging
import re
from asyncio import CancelledError, get_running_loop
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from random import Random, SystemRandom
from time import perf_counter, time, time_ns
from typing import Any, NamedTuple, Protocol

from pydantic import ValidationError

from feedback.answers import written
from feedback.events import BASE, NOT_LOADED, first_complaint, group_of
from feedback.log import COMPLETIONS
from feedback.privacy import CannotRedact, Redact, pseudonym
from serving.apis import Api, Part
from serving.ask import Ask
from serving.errors import BadAnswer, EngineError, EngineRefused, ServingError, UnknownModel
from serving.metrics import NO_ADAPTER, Metrics
from serving.split import Split, choose
from serving.tokens import Grant, Tokens
from serving.turn import Away, Chosen, Headers, Token, Turn

# What vLLM answers when it does not know an adapter, knows it as withdrawn, finds its files
# changed, or cannot load it. The request may be at fault as well: then stable refuses it too.
CANNOT_LOAD = (400, 404, 409, 422)
FEEDBACK_TOKEN = "feedback_token"  # its field in the first part of an answer
Traced = Callable[[Turn], AbstractContextManager[None]]
_UNTRACED = nullcontext()
_SIGN_SECONDS = 0.001  # while the engine works: before that it would only keep the engine waiting
_log = logging.getLogger(__name__)


class Engine(Protocol):
    def answer(
        self, api: Api, adapter: str, body: dict[str, Any], request_id: str, headers: Headers = ()
    ) -> AsyncGenerator[list[Part]]: ...


class Spool(Protocol):
    def append_soon(self, topic: str, key: str, value: bytes) -> bool: ...


class Arm(NamedTuple):
    """Which adapter is to answer, and under which id, where somebody else decides."""

    chosen: Chosen
    request_id: str


class Opened(NamedTuple):
    first: list[Part]
    rest: AsyncGenerator[list[Part]]


@dataclass(slots=True)
class _Ended:
    """Told at the end, whichever it is. Not a generator: those take longer."""

    turn: Turn
    tell: Callable[[Turn, BaseException | None], None]

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self.tell(self.turn, error)


def _outcome(error: BaseException | None) -> tuple[str, str | None]:
    """Its name in the metrics, and what is remembered of it."""
    if error is None:
        return "ok", None
    if isinstance(error, GeneratorExit | CancelledError):
        return "client_closed", "client closed"
    return (error.outcome, str(error)) if isinstance(error, ServingError) else ("failed", None)


def untraced(_: Turn) -> AbstractContextManager[None]:
    return _UNTRACED


# Not the system's own: asking it takes longer than all else that is done for an id.
_dice = Random(SystemRandom().getrandbits(256))


def new_request_id() -> str:
    """32 hex digits that begin with the time: what lies near in time lies near in an index."""
    return f"{time_ns() // 1_000_000:012x}{_dice.getrandbits(80):020x}"


@dataclass(frozen=True)
class Chat:
    name: str  # what users ask for
    secret: bytes
    split: Callable[[], Split]
    engine: Engine
    spool: Spool
    metrics: Metrics
    tokens: Tokens
    token_seconds: float
    parent: Callable[[str], str | None] = lambda adapter: None  # the one that it continues
    traced: Traced = untraced  # for as long as it lasts
    redact: Redact | None = None  # for what is remembered; the engine and the user get it all

    async def answer(self, ask: Ask, arm: Arm | None = None) -> AsyncGenerator[list[Part]]:
        """The answer in batches of parts. However they end, they are remembered before that.

        Whoever took a whole answer need not take more.

        Take the first batch before you begin to respond: until then an error has a status.
        """
        user = pseudonym(self.secret, ask.person or new_request_id())
        turn = Turn(ask, user, Away(perf_counter))
        with self.traced(turn), _Ended(turn, self._end):
            batch, rest = await (self._ask(turn, *arm) if arm else self._open(turn))
            turn.first_seconds = perf_counter() - ask.started
            try:
                batch[0][FEEDBACK_TOKEN] = self._token(turn, batch[0]["id"]).signed
                while batch:
                    shown = [turn.take(part) for part in batch]
                    if not ask.streams:
                        self._end(turn)
                    with turn.away:
                        yield shown
                        batch = await anext(rest, [])
            finally:
                await rest.aclose()

    def _token(self, turn: Turn, completion_id: str) -> Token:
        if turn.token is None or turn.token.id != completion_id:
            until = int(time() + self.token_seconds)
            grant = Grant(group_of(completion_id), turn.user, until, turn.ask.app)
            turn.token = Token(completion_id, self.tokens.sign(grant))
        return turn.token

    async def _open(self, turn: Turn) -> Opened:
        """Ask the chosen adapter. Users of a canary that cannot be loaded get stable's answer."""
        chosen = self.choose(turn.ask, turn.user)
        try:
            return await self._ask(turn, chosen, new_request_id())
        except EngineRefused as refusal:
            if chosen.revision is None or refusal.status not in CANNOT_LOAD:
                raise
            split = self.split()
            if chosen.adapter != split.canary:
                raise
            return await self._fall_back(turn, split, refusal)

    def choose(self, ask: Ask, user: str) -> Chosen:
        if ask.model != self.name:
            return self._named(ask.model)
        return Chosen(*choose(self.split(), user))

    async def _fall_back(self, turn: Turn, split: Split, refusal: EngineRefused) -> Opened:
        failed = replace(turn, error=f"{NOT_LOADED}: {refusal}", engine_failed=True)
        failed.id = turn.id
        opened = await self._ask(turn, Chosen(split.stable), new_request_id())
        self._remember(failed, perf_counter() - turn.ask.started)  # whoever judges it must see it
        assert split.canary is not None
        # Not the engine's words, which may quote the request: the completion has them.
        _log.warning(
            "%s answers for canary %s: status %d", split.stable, split.canary, refusal.status
        )
        self.metrics.canary_fallbacks.labels(split.canary).inc()
        return opened

    def _named(self, model: object) -> Chosen:
        """The adapter that the caller names, and not the split."""
        adapter = rf"{BASE}|{re.escape(self.name)}-v[0-9]+"
        if isinstance(model, str) and re.fullmatch(adapter, model):
            return Chosen(model)
        raise UnknownModel(
            f"model is {model!r}; expected {self.name!r}, {BASE!r} or an adapter such as "
            f"'{self.name}-v1'",
            "model",
        )

    async def _ask(self, turn: Turn, chosen: Chosen, request_id: str) -> Opened:
        api = turn.ask.api
        turn.chosen, turn.id = chosen, f"{api.prefix}{request_id}"  # as vLLM will name its answer
        body = turn.ask.for_engine()
        batches = self.engine.answer(api, chosen.adapter, body, request_id, turn.headers)
        get_running_loop().call_later(_SIGN_SECONDS, self._token, turn, turn.id)
        with turn.away:
            first = await anext(batches, None)
        if first is None:
            raise BadAnswer("the engine ended its answer before it began")
        return Opened(first, batches)

    def _end(self, turn: Turn, error: BaseException | None = None) -> None:
        """Whatever comes after its end changes nothing."""
        if turn.outcome is None:
            turn.engine_failed = isinstance(error, EngineError) and error.status >= 500
            turn.outcome, turn.error = _outcome(error)
            total_seconds = perf_counter() - turn.ask.started
            self._remember(turn, total_seconds)
            # The reader need not wait for that.
            get_running_loop().call_soon(
                self._count, turn, turn.outcome, total_seconds, total_seconds - turn.away.seconds
            )

    def _remember(self, turn: Turn, total_seconds: float) -> None:
        """Whatever goes wrong, the user still gets the answer; it only cannot be rated."""
        at = datetime.now(UTC)
        redact = self.redact and cache(self.redact)  # the choices share their messages
        for index in turn.choices:
            try:
                fields = turn.completion(
                    index, at=at, total_seconds=total_seconds, parent=self.parent, redact=redact
                )
                if self.spool.append_soon(COMPLETIONS.name, group_of(turn.id), written(fields)):
                    continue
            except ValidationError as error:
                _log.error("a completion cannot be written down: %s", first_complaint(error))
            except CannotRedact as error:
                _log.error("a completion cannot be redacted and is left out: %s", error)
            self.metrics.completions_lost.inc()

    def _count(self, turn: Turn, outcome: str, total_seconds: float, own_seconds: float) -> None:
        # Callers can name any number of adapters that there are not: no label for those.
        known = turn.chosen and (turn.answered or turn.chosen.revision is not None)
        adapter = turn.chosen.adapter if turn.chosen and known else NO_ADAPTER
        self.metrics.requests.labels(adapter, outcome).inc()
        if turn.answered:
            self.metrics.answered(adapter, outcome).count(
                total_seconds=total_seconds,
                own_seconds=own_seconds,
                first_seconds=turn.first_seconds if turn.ask.streams else None,
                tokens=turn.tokens,
            )
