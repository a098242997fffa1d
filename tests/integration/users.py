"""Users who come one after the other, ask, and say what they think of the answer."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

import httpx

PAUSE_SECONDS = 0.1


@dataclass
class Users:
    """Each comes once, and likes all but what the adapters say that are in `dislike`."""

    gateway: str
    dislike: set[str] = field(default_factory=set)  # adapters
    prompt: str = "Say hello"
    numbers: Iterator[int] = field(default_factory=count)

    @contextmanager
    def coming(self) -> Iterator["Users"]:
        stop = threading.Event()
        thread = threading.Thread(target=self._come, args=(stop,))
        thread.start()
        try:
            yield self
        finally:
            stop.set()
            thread.join()

    def rate(self, http: httpx.Client, completion_id: str) -> None:
        """Somebody else likes it, too."""
        user = f"rater {next(self.numbers)}"
        said = {"completion_id": completion_id, "thumb": "up", "user": user}
        http.post("/v1/feedback", json=said).raise_for_status()

    def ask(self, http: httpx.Client) -> httpx.Response:
        body = {
            "model": "model",
            "user": f"user {next(self.numbers)}",
            "messages": [{"role": "user", "content": self.prompt}],
            "stream": True,
        }
        return http.post("/v1/chat/completions", json=body)

    def _come(self, stop: threading.Event) -> None:
        with httpx.Client(base_url=self.gateway, timeout=30, trust_env=False) as http:
            while not stop.wait(PAUSE_SECONDS):
                self._one(http)

    def _one(self, http: httpx.Client) -> None:
        answer = self.ask(http)
        if answer.is_success:
            thumb = "down" if answer.headers["x-thumbwheel-adapter"] in self.dislike else "up"
            name = answer.headers["x-thumbwheel-completion"]
            http.post("/v1/feedback", json={"completion_id": name, "thumb": thumb})
