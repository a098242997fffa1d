"""A client's end of a plain connection, for what no library would send."""

import json
import socket
import time
from contextlib import suppress
from typing import Any, Self

import httpx

from tests.integration.alone import Gateway

CHAT = "/v1/chat/completions"
FOREVER = 3_600_000_000  # microseconds
MB = 1_000_000


class Line:
    """`window`: the bytes that may wait at this end; the system doubles it."""

    def __init__(self, port: int, window: int | None = None) -> None:
        self.socket = socket.socket()
        if window:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.socket.settimeout(10)
        self.socket.connect(("127.0.0.1", port))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def say(self, raw: bytes) -> None:
        self.socket.sendall(raw)

    def end(self) -> None:
        """Says no more, and still listens."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()

    def hear(self, mark: bytes, seconds: float = 20.0) -> bytes:
        """All up to this mark, and what came with it; less where the other end hangs up."""
        heard, ends = b"", time.monotonic() + seconds
        while mark not in heard:
            assert time.monotonic() < ends, f"no {mark!r} in {heard[-300:]!r}"
            if not (block := self._take()):
                break
            heard += block
        return heard

    def hear_all(self, seconds: float = 20.0) -> bytes:
        """Until the other end hangs up, which it must in that time."""
        heard, ends = b"", time.monotonic() + seconds
        while block := self._take():
            assert time.monotonic() < ends, f"still open after {heard[-300:]!r}"
            heard += block
        return heard

    def _take(self) -> bytes:
        with suppress(ConnectionResetError):
            return self.socket.recv(65536)
        return b""


def asked(**more: Any) -> bytes:
    """The body of a chat that streams."""
    body = {"model": "model", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    return json.dumps(body | more).encode()


def post(body: bytes, *headers: bytes, path: str = CHAT, length: object = None) -> bytes:
    """A request; `length` where it is not to be the body's own."""
    said = len(body) if length is None else length
    lines = (
        f"POST {path} HTTP/1.1".encode(),
        b"host: 127.0.0.1",
        b"content-type: application/json",
        f"content-length: {said}".encode(),
        *headers,
    )
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def status(answer: bytes) -> int:
    """Of the first answer; 0 where there is none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def ordinary(placed: Gateway) -> None:
    answer = httpx.post(f"{placed.url}{CHAT}", content=asked(max_tokens=4), timeout=20)
    assert answer.status_code == 200, answer.text
    assert answer.text.endswith("data: [DONE]\n\n")


def tell(what: str, placed: Gateway, before: int) -> None:
    """For whoever runs it with -s."""
    after, peak = placed.resident_bytes, placed.peak_bytes
    print(
        f"\n{what}: resident {before / MB:.0f} MB before, {peak / MB:.0f} MB at the peak, "
        f"{after / MB:.0f} MB after"
    )
