"""An engine in a process of its own whose every word tells which adapter says it.

`python -m tests.integration.telling`, with the port in TELLING_PORT. An adapter's first use keeps
it from all else for a moment, as a load does; a request's `max_tokens` is how many it gets, its
`seed` the microseconds before each of them. All answers are streams.
"""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import uvloop

from tests.bench.gateway.answers import DONE, head
from tests.bench.gateway.engine import _EVENTS, Connection
from tests.free import free_port
from tests.integration.processes import Room

LOAD_SECONDS = 0.03  # vLLM takes 6 ms (0.4 MB) to 350 ms (160 MB)
KINDS = 100  # of words that one adapter knows; then it begins anew
PROMPT_IDS = [1, 2, 3]
_loaded = set[str]()


def words(adapter: str, tokens: int) -> str:
    """What this adapter alone would say."""
    return "".join(_word(adapter, place) for place in range(tokens))


def ids(adapter: str, tokens: int) -> tuple[int, ...]:
    return tuple(_id(adapter, place) for place in range(tokens))


def _word(adapter: str, place: int) -> str:
    return f" {adapter}.{place % KINDS}"


def _id(adapter: str, place: int) -> int:
    return crc32(_word(adapter, place).encode()) % 100_000


class Speaker(Connection):
    def _answer(self, asked: dict[str, Any]) -> None:
        adapter = asked["model"]
        if adapter not in _loaded:
            time.sleep(LOAD_SECONDS)  # the whole engine waits: others' answers too
            _loaded.add(adapter)
        start = head("chat.completion.chunk", f"chatcmpl-{self._name.decode()}", adapter)
        self._transport.write(_EVENTS)
        self._pause_seconds = (asked.get("seed") or 0) / 1_000_000
        self._rest = _events(start, adapter, asked.get("max_tokens") or 3)
        self._speak()


def _events(start: bytes, adapter: str, tokens: int) -> Iterator[bytes]:
    yield b"data: %b%b\n\n" % (start, _opening())
    for place in range(tokens - 1):
        yield b"data: %b%b\n\n" % (start, _tail(adapter, place % KINDS, None))
    yield b"data: %b%b\n\n" % (start, _tail(adapter, tokens - 1, "length"))
    yield DONE


@cache
def _opening() -> bytes:
    delta = {"role": "assistant", "content": ""}
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    return _json({"choices": [choice], "prompt_token_ids": PROMPT_IDS})


@cache
def _tail(adapter: str, place: int, finish_reason: str | None) -> bytes:
    word = _word(adapter, place)
    logprob = {"token": word, "logprob": -1.0, "bytes": list(word.encode()), "top_logprobs": []}
    choice = {
        "index": 0,
        "delta": {"content": word},
        "logprobs": {"content": [logprob]},
        "finish_reason": finish_reason,
        "token_ids": [_id(adapter, place)],
    }
    return _json({"choices": [choice]})


def _json(said: dict[str, Any]) -> bytes:
    """What comes behind the head."""
    return json.dumps(said, separators=(",", ":")).encode()[1:]


@contextmanager
def telling_engine(folder: Path) -> Iterator[str]:
    """Its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    room = Room(
        "tests.integration.telling",
        f"{url}/health",
        os.environ | {"TELLING_PORT": str(port)},
        folder / "engine.out",
    )
    try:
        room.start()
        room.wait()
        yield url
    finally:
        room.kill()


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Speaker, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(os.environ["TELLING_PORT"])))
