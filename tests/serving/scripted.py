"""An engine that answers as vLLM does, with words that are known before."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from serving.apis import CHAT, TEXT, Api

WORDS = ("Hello", " there", ".")
IDS = (11, 12, 13)
LOGPROBS = (-0.1, -0.2, -0.3)
PROMPT_IDS = (1, 2, 3)


@dataclass
class ScriptedEngine:
    known: set[str] = field(default_factory=lambda: {"model", "model-v1", "model-v2"})
    refuses: dict[str, int] = field(default_factory=dict)  # adapter to status
    says_it_is: str | None = None
    healthy: bool = True
    word_seconds: float = 0.0
    breaks_after: int | None = None  # words of a stream, then an error
    vanishes_after: int | None = None  # words of a stream, then nothing more
    raw: bytes | None = None  # said in the place of an answer
    asked: list[dict[str, Any]] = field(default_factory=list)
    finished: int = 0
    left: int = 0  # streams whose reader went away

    def app(self) -> Starlette:
        """Answers with what is scripted at the moment of the request."""
        chat = Route(CHAT.path, self.chat, methods=["POST"])
        text = Route(TEXT.path, self.text, methods=["POST"])
        state = [Route("/health", self.health), Route("/metrics", self.metrics)]
        return Starlette(routes=[chat, text, *state])

    async def health(self, _: Request) -> Response:
        return Response(status_code=200 if self.healthy else 503)

    async def metrics(self, _: Request) -> Response:
        return Response("vllm:num_requests_running 0.0\n")

    async def chat(self, request: Request) -> Response:
        return await self._answer(request, _Answer)

    async def text(self, request: Request) -> Response:
        return await self._answer(request, _Text)

    async def _answer(self, request: Request, kind: type["_Answer"]) -> Response:
        body = await request.json()
        self.asked.append(body)
        model = body["model"]
        if self.raw is not None:
            return Response(self.raw, media_type="application/json")
        if model in self.refuses:
            return _error(self.refuses[model], f"LoRA adapter '{model}' could not be loaded.")
        if model not in self.known:
            return _error(404, f"The model `{model}` does not exist.")
        answer = kind(f"{kind.api.prefix}{request.headers.get('x-request-id', 'its-own')}", self, body)
        if body.get("stream"):
            return StreamingResponse(answer.stream(), media_type="text/event-stream")
        await asyncio.sleep(self.word_seconds * len(WORDS))
        return JSONResponse(answer.whole())


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse(_error_body(status, message), status)


def _error_body(status: int, message: str) -> dict[str, Any]:
    said = {"message": message, "type": "SomeError", "param": "model", "code": status}
    return {"error": said}


@dataclass
class _Answer:
    """To a chat."""

    api: ClassVar[Api] = CHAT
    kinds: ClassVar = ("chat.completion", "chat.completion.chunk")
    id: str
    engine: ScriptedEngine
    body: dict[str, Any]

    @property
    def choices(self) -> range:
        return range(self.body.get("n") or 1)

    def whole(self) -> dict[str, Any]:
        choices = [self._choice(index) for index in self.choices]
        count = len(WORDS) * len(choices)
        usage = {"prompt_tokens": 3, "completion_tokens": count, "total_tokens": 3 + count}
        answer = self._part(choices, self.kinds[0]) | {"usage": usage}
        return answer | {"prompt_token_ids": self._prompt_ids()}

    async def stream(self) -> AsyncIterator[str]:
        try:
            async for part in self._parts():
                yield f"data: {json.dumps(part)}\n\n"
            if self.engine.vanishes_after is None:
                yield "data: [DONE]\n\n"
            self.engine.finished += 1
        except (GeneratorExit, asyncio.CancelledError):
            self.engine.left += 1
            raise

    async def _parts(self) -> AsyncIterator[dict[str, Any]]:
        for part in self._beginning():
            yield part
        for place in range(len(WORDS)):
            await asyncio.sleep(self.engine.word_seconds)
            if place == self.engine.breaks_after:
                yield _error_body(500, "the engine is on fire")
                return
            if place == self.engine.vanishes_after:
                return
            for index in self.choices:
                yield self._part([self._word(index, place)], self.kinds[1])
        if (self.body.get("stream_options") or {}).get("include_usage"):
            usage = self.whole()["usage"]
            yield self._part([], self.kinds[1]) | {"usage": usage}

    def _beginning(self) -> Iterator[dict[str, Any]]:
        for index in self.choices:
            delta = {"role": "assistant", "content": ""}
            start = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
            first = self._part([start], self.kinds[1])
            yield first | {"prompt_token_ids": self._prompt_ids()} if index == 0 else first

    def _choice(self, index: int) -> dict[str, Any]:
        return {
            "index": index,
            "message": {"role": "assistant", "content": "".join(WORDS)},
            "logprobs": self._logprobs(0, len(WORDS)),
            "finish_reason": "stop",
            "token_ids": list(IDS) if self.body.get("return_token_ids") else None,
        }

    def _word(self, index: int, place: int) -> dict[str, Any]:
        return {
            "index": index,
            "delta": {"content": WORDS[place]},
            "logprobs": self._logprobs(place, place + 1),
            "finish_reason": "stop" if place == len(WORDS) - 1 else None,
            "token_ids": [IDS[place]] if self.body.get("return_token_ids") else None,
        }

    def _logprobs(self, start: int, end: int) -> dict[str, Any] | None:
        if not self.body.get("logprobs"):
            return None
        said = zip(WORDS[start:end], LOGPROBS[start:end], strict=True)
        return {"content": [{"token": t, "logprob": p, "top_logprobs": []} for t, p in said]}

    def _prompt_ids(self) -> list[int] | None:
        return list(PROMPT_IDS) if self.body.get("return_token_ids") else None

    def _part(self, choices: list[dict[str, Any]], kind: str) -> dict[str, Any]:
        model = self.engine.says_it_is or self.body["model"]
        return {"id": self.id, "object": kind, "created": 1, "model": model, "choices": choices}


class _Text(_Answer):
    """To a prompt: its ids are told by each choice, in a stream by the first chunk of each."""

    api = TEXT
    kinds = ("text_completion", "text_completion")

    def whole(self) -> dict[str, Any]:
        answer = super().whole()
        del answer["prompt_token_ids"]
        return answer

    @property
    def choices(self) -> range:
        prompts = self.body["prompt"]
        several = isinstance(prompts, list) and not isinstance(prompts[0], int)
        n = int(self.body.get("n") or 1)  # as vLLM, that takes 2.0 and "2" too
        return range(n * (len(prompts) if several else 1))

    def _beginning(self) -> Iterator[dict[str, Any]]:
        return iter(())

    def _choice(self, index: int) -> dict[str, Any]:
        return self._texted(super()._choice(index), "".join(WORDS), first=True)

    def _word(self, index: int, place: int) -> dict[str, Any]:
        return self._texted(super()._word(index, place), WORDS[place], first=place == 0)

    def _texted(self, choice: dict[str, Any], text: str, first: bool) -> dict[str, Any]:
        choice.pop("message", None), choice.pop("delta", None)
        return choice | {"text": text, "prompt_token_ids": self._prompt_ids() if first else None}

    def _logprobs(self, start: int, end: int) -> dict[str, Any] | None:
        if self.body.get("logprobs") is None:
            return None
        return {"tokens": list(WORDS[start:end]), "token_logprobs": list(LOGPROBS[start:end])}
