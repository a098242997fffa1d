"""A real HTTP server that judges as it is told to."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

from trainer.rubric import Case
from trainer.settings import JudgeAt

Taste = Callable[[Case], str]  # what it says of a question
# Status, headers and body in place of a verdict; None: it judges.
Mood = Callable[[int], tuple[int, dict[str, str], str] | None]


class JudgeServer:
    """Counts from 0 what it is asked."""

    def __init__(self, taste: Taste, mood: Mood = lambda asked: None) -> None:
        self.taste, self.mood = taste, mood
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.keys: list[str | None] = []
        self.lock = Lock()
        self.url = ""

    @property
    def at(self) -> JudgeAt:
        return JudgeAt(self.url, "wise")

    def answer(self, path: str, key: str | None, body: dict[str, Any]) -> tuple[int, Any, str]:
        with self.lock:
            number = len(self.asked)
            self.asked.append(body)
            self.paths.append(path)
            self.keys.append(key)
        if (told := self.mood(number)) is not None:
            return told
        said = self.taste(case_of(body["messages"]))
        choice = {"index": 0, "message": {"role": "assistant", "content": said}}
        return 200, {}, json.dumps({"object": "chat.completion", "choices": [choice]})


def case_of(messages: list[dict[str, str]]) -> Case:
    """As a judge reads it who believes the marks that the system names, and nothing else."""
    system, user = (message["content"] for message in messages)
    found = re.search(r"between lines that hold (\w+)\.", system)
    assert found
    mark, parts = found[1], []
    for name in ("prompt", "answer A", "answer B"):
        part = re.search(
            rf"^\[{name} {mark}\]\n(.*?)\n\[end of {name} {mark}\]$", user, re.DOTALL | re.MULTILINE
        )
        assert part, user
        parts.append(part[1])
    return Case(*parts)


@contextmanager
def judging(taste: Taste, mood: Mood = lambda asked: None) -> Iterator[JudgeServer]:
    judge = JudgeServer(taste, mood)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, headers, text = judge.answer(self.path, self.headers["authorization"], body)
            raw = text.encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            with suppress(ConnectionError):  # whoever asked may have ended
                self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    judge.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield judge
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
