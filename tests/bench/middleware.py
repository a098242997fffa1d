"""What the middleware does for a whole answer, and the least that any could do.

`python -m tests.bench.middleware`. No server and no vLLM: an app that says what vLLM would is
called through both in turn. Counted is what the reader waits for, but for the app's own time.
"""

import asyncio
import os
import tempfile
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

import uvloop
from pydantic_core import from_json, to_json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from feedback.events import encode
from feedback.log import open_log
from serving.middleware import Middleware
from serving.split import SPLIT_KEY
from tests.bench.gateway.answers import Shape, head, whole
from tests.bench.gateway.wishes import QUESTION
from tests.serving.gateway import settings_for, split

ROUNDS, WARM_ROUNDS = 1000, 50
PAUSE_SECONDS, WORK_SECONDS = 0.005, 0.002  # between answers; of the app for each
ASKED = {"logprobs": True, "return_token_ids": True}
SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/v1/chat/completions",
    "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
}


class Clock:
    """When the app was called, when it answered, when the reader had all of it."""

    called = answered = heard = 0.0


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return
    Clock.called = perf_counter()
    asked = from_json((await receive())["body"])
    shape = Shape(asked["max_tokens"], ids=True, logprobs=True)
    name = dict(scope["headers"])[b"x-request-id"].decode()
    body = head("chat.completion", f"chatcmpl-{name}", asked["model"]) + whole(shape)
    await asyncio.sleep(WORK_SECONDS)
    Clock.answered = perf_counter()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def least(log: int) -> ASGIApp:
    """Reads the request, writes it anew, calls, reads the answer, writes a line and the answer."""

    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        body = from_json((await receive())["body"])
        said: list[Message] = []

        async def take(message: Message) -> None:
            said.append(message)

        raw = to_json(body | ASKED | {"model": "model-v1"})
        await app({**scope, "headers": [(b"x-request-id", b"1")]}, reading(raw), take)
        answer = from_json(said[1]["body"])
        os.write(log, to_json([body, answer]))
        await send(said[0])
        await send({"type": "http.response.body", "body": to_json(answer)})

    return middleware


def reading(body: bytes) -> Receive:
    async def receive() -> Message:
        nonlocal body
        if not body:
            await asyncio.Event().wait()  # nobody hangs up
        said, body = body, b""
        return {"type": "http.request", "body": said}

    return receive


async def ask(asked: ASGIApp, tokens: int, user: str) -> float:
    """Microseconds."""
    body = {"model": "model", "messages": [{"role": "user", "content": QUESTION}], "user": user}

    async def send(message: Message) -> None:
        Clock.heard = perf_counter()

    started = perf_counter()
    await asked({**SCOPE, "state": {}}, reading(to_json(body | {"max_tokens": tokens})), send)
    return 1e6 * (Clock.called - started + Clock.heard - Clock.answered)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Path(folder, "least").open("wb") as file:
        settings = settings_for(Path(folder), "http://x")
        with closing(open_log(settings.log)) as log:
            log.append("split", SPLIT_KEY, encode(split(1, "model-v1")))
        uvloop.run(compare(Middleware(app, settings), least(file.fileno())))


async def compare(ours: ASGIApp, other: ASGIApp) -> None:
    tell, started = asyncio.Queue[Message](), asyncio.Event()

    async def hear(_: Message) -> None:
        started.set()

    living = asyncio.ensure_future(ours({"type": "lifespan"}, tell.get, hear))
    await tell.put({"type": "lifespan.startup"})
    await started.wait()
    await asyncio.sleep(0.5)  # the split is read
    print("| tokens | | p50, us | p99, us |\n|---|---|---|---|")
    for tokens in (1, 32):
        await in_turn({"ours": ours, "the least": other}, tokens)
    await tell.put({"type": "lifespan.shutdown"})
    await living


async def in_turn(asked: dict[str, ASGIApp], tokens: int) -> None:
    seen = defaultdict[str, list[float]](list)
    for number in range(WARM_ROUNDS + ROUNDS):
        for name, one in asked.items():
            seen[name].append(await ask(one, tokens, f"user-{number % 100}"))
            await asyncio.sleep(PAUSE_SECONDS)
    for name, took in seen.items():
        took = took[WARM_ROUNDS:]
        print(f"| {tokens} | {name} | {median(took):.0f} | {quantiles(took, n=100)[98]:.0f} |")


if __name__ == "__main__":
    main()
