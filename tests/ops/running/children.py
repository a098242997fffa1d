"""Small real programs for the tests of the supervisor, and a screen that remembers."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path

from rich.console import Console

from ops.running.keeper import Pace
from ops.running.probes import answers
from ops.running.program import Program
from ops.running.screen import Screen
from ops.running.supervisor import supervise

QUICK = Pace(tries=3, pause_seconds=0.05, grace_seconds=2, poll_seconds=0.02)

# Answers 200, says hello, and writes its name into `ended` when it is asked to end.
SERVER = """
import http.server, os, signal, sys
name, port, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
class Ok(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *args): pass
def end(*_):
    open(folder + "/ended", "a").write(name + "\\n")
    os._exit(0)
signal.signal(signal.SIGTERM, end)
print("hello from", name, flush=True)
http.server.HTTPServer(("127.0.0.1", port), Ok).serve_forever()
"""
# A leader with a child that listens too, as vLLM's engine core is the child of its server.
FAMILY = f"""
import subprocess, sys
child = [sys.executable, "-c", sys.argv[5], "child", sys.argv[4], sys.argv[3]]
subprocess.Popen(child)
{SERVER}"""


class Farm:
    """Programs in one folder, and what their supervisor said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said = StringIO()
        self.screen = Screen(Console(file=self.said, width=400, _environ={}))

    def server(self, name: str, port: int) -> Program:
        return self.program(name, SERVER, name, str(port), str(self.folder), port=port)

    def family(self, name: str, port: int, child_port: int) -> Program:
        args = (name, str(port), str(self.folder), str(child_port), SERVER)
        return self.program(name, FAMILY, *args, port=port)

    def program(self, name: str, code: str, *args: str, port: int = 0) -> Program:
        """Ready when it answers on `port`; without a port it is to run once."""
        ready = answers(f"http://127.0.0.1:{port}/") if port else None
        argv = (sys.executable, "-c", code, *args)
        return Program(name, argv, dict(os.environ), ready, ready_timeout_seconds=30)

    @asynccontextmanager
    async def running(self, *programs: Program, pace: Pace = QUICK) -> AsyncIterator[None]:
        ready = asyncio.Event()
        work = supervise(
            programs, self.folder / "logs", screen=self.screen, pace=pace, on_ready=ready.set
        )
        task = asyncio.create_task(work)
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
        try:
            if task.done():
                task.result()
            yield
        finally:
            waiting.cancel()
            task.cancel()
            await asyncio.wait((task,))

    def pid(self, name: str) -> int:
        """Of the latest start."""
        return int(self.said.getvalue().rpartition(f"{name} is started (pid ")[2].split(")")[0])

    async def hears(self, text: str, times: int = 1) -> None:
        await until(lambda: self.said.getvalue().count(text) >= times)


async def until(true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not so within {seconds} s"
        await asyncio.sleep(0.02)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
