"""What is asked for, and whether what came is all of it. Pure."""

import json
import re
from dataclasses import dataclass
from functools import cached_property

from tests.bench.gateway.answers import DONE, text
from tests.bench.gateway.client import Answer

USERS = 1_000
QUESTION = "Which of the two kettles boils a litre of water sooner, and what does it cost? " * 3
# Both spellings: some proxies write JSON with spaces.
_CONTENT = re.compile(rb'"content": ?"([^"]*)"')


@dataclass(frozen=True)
class Wish:
    tokens: int
    streams: bool
    pause_microseconds: int = 0  # between the chunks, at the engine

    @cached_property
    def requests(self) -> list[bytes]:
        """One of each user: they are made before anything is measured."""
        return [self._request(f"user-{number}") for number in range(USERS)]

    def complaint(self, answer: Answer) -> str | None:
        """What is wrong with it: every token must be there, once and in order."""
        body = b"".join(answer.blocks)
        if answer.status != 200:
            return f"status {answer.status}: {body[:200]!r}"
        words = _CONTENT.findall(body)
        if b"".join(words) != text(self.tokens).encode():
            return f"{len(words)} pieces of text; expected {self.tokens} tokens: {body[-200:]!r}"
        if self.streams and not body.endswith(DONE):
            return f"no end mark: {body[-200:]!r}"
        if self.streams and sum(map(bool, words)) != self.tokens:
            return f"{sum(map(bool, words))} chunks; expected {self.tokens}"
        return None

    def chunks(self, answer: Answer) -> int | None:
        """How many came, of a stream that was cut; None where one of them is wrong."""
        words = [word for word in _CONTENT.findall(b"".join(answer.blocks)) if word]
        right = text(self.tokens).encode().startswith(b"".join(words))
        return len(words) if right else None

    def _request(self, user: str) -> bytes:
        asked = {
            "model": "model",
            "messages": [{"role": "user", "content": QUESTION}],
            "user": user,
            "max_tokens": self.tokens,
            "temperature": 0.7,
            "seed": self.pause_microseconds,
            "stream": self.streams,
        }
        body = json.dumps(asked).encode()
        return (
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: bench\r\n"
            b"accept: */*\r\ncontent-type: application/json\r\nauthorization: Bearer sk-bench\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )


WHOLE = Wish(tokens=32, streams=False)
PACED = Wish(tokens=32, streams=True, pause_microseconds=5_000)
LONG = Wish(tokens=256, streams=True)
