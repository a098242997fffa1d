"""The only file that talks to a judge: an LLM behind an OpenAI-compatible endpoint."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from trainer.endings import NobodyAnswers, RoundFailed
from trainer.rubric import Message
from trainer.settings import JudgeAt

# All its tries end within the ten minutes that a round's processes wait for each other.
_TRIES = 5
_TIMEOUT_SECONDS = 60.0
_LONGEST_WAIT_SECONDS = 60.0
_FIRST_WAIT_SECONDS = 5.0  # twice as long after each try, where the judge does not say
_LEAST_WAIT_SECONDS = 1.0
_MOST_TOKENS = 16  # of a word
_LATER = (408, 425, 429)
_DECLINED = (400, 413, 422)  # this question, as a rule: it is too long, say
_SHOWN = 200  # characters of what it answered

# Of the question at this place: what it said, or None where it declined to.
Hear = Callable[[int, str | None], None]
Sleep = Callable[[float], Awaitable[None]]
_log = logging.getLogger("trainer")


class _Later(Exception):
    """It may answer when it is asked again."""

    def __init__(self, why: str, seconds: float | None = None) -> None:
        super().__init__(why if seconds is None else f"{why} (and wants {seconds:.0f} s)")
        self.seconds = seconds


class Judge:
    def __init__(self, at: JudgeAt, sleep: Sleep = asyncio.sleep) -> None:
        self.model = at.model
        self._url, self._sleep = f"{at.url}/chat/completions", sleep
        headers = {"authorization": f"Bearer {at.key.get_secret_value()}"} if at.key else None
        self._client = httpx.AsyncClient(headers=headers, timeout=_TIMEOUT_SECONDS)
        self._runner = asyncio.Runner()

    def ask(self, questions: Sequence[Sequence[Message]], heard: Hear) -> None:
        """All at once. Raises what one failed of after all others were heard."""
        self._runner.run(self._all(questions, heard))

    def close(self) -> None:
        with self._runner:
            self._runner.run(self._client.aclose())

    async def _all(self, questions: Sequence[Sequence[Message]], heard: Hear) -> None:
        async def one(at: int, asked: Sequence[Message]) -> None:
            heard(at, await self._said(asked))

        each = (one(at, asked) for at, asked in enumerate(questions))
        for error in await asyncio.gather(*each, return_exceptions=True):
            if error is not None:
                raise error

    async def _said(self, asked: Sequence[Message]) -> str | None:
        usual, tries = _FIRST_WAIT_SECONDS, 0
        while True:
            tries += 1
            try:
                return await self._once(asked)
            except _Later as later:
                wait = usual if later.seconds is None else max(later.seconds, _LEAST_WAIT_SECONDS)
                if tries == _TRIES or wait > _LONGEST_WAIT_SECONDS:
                    told = f"the judge at {self._url} {later}; given up after try {tries}"
                    raise NobodyAnswers(told) from later
            _log.info("the judge at %s does not answer; asked again in %.0f s", self._url, wait)
            await self._sleep(wait)
            usual *= 2

    async def _once(self, asked: Sequence[Message]) -> str | None:
        body = {
            "model": self.model,
            "messages": list(asked),
            "temperature": 0,
            "max_tokens": _MOST_TOKENS,
        }
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):  # httpx's own is of each read
                answer = await self._client.post(self._url, json=body)
        except (httpx.HTTPError, TimeoutError) as error:
            raise _Later(f"does not answer: {error!r}") from error
        if answer.status_code in _LATER or answer.status_code >= 500:
            raise _Later(f"answered {_told(answer)}", _retry_after(answer))
        return self._read(answer)

    def _read(self, answer: httpx.Response) -> str | None:
        if answer.status_code in _DECLINED:
            _log.warning("the judge at %s declines a question: %s", self._url, _told(answer))
            return None
        told = f"the judge at {self._url} answered {_told(answer)}; expected a chat completion"
        if answer.status_code != 200:
            raise RoundFailed(f"{told} of model {self.model!r}")
        try:
            said = answer.json()["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError) as error:
            raise RoundFailed(told) from error
        return said if isinstance(said, str) else ""  # of one that thought until its limit


def _told(answer: httpx.Response) -> str:
    return f"{answer.status_code}: {answer.text[:_SHOWN]}"


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds, or a date, as HTTP has it."""
    said = answer.headers.get("retry-after", "")
    if said.isdecimal():
        return float(said)
    try:
        until = parsedate_to_datetime(said)
    except ValueError:
        return None
    return max(0.0, (until - datetime.now(UTC)).total_seconds()) if until.tzinfo else None
