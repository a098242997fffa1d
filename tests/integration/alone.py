"""The gateway as a process of its own with nothing but an engine behind it, and what it costs."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.free import free_port
from tests.integration.processes import Room
from tests.serving.gateway import SECRET

REST_SECONDS = 20.0  # an idle connection is closed after 5


@dataclass(frozen=True)
class Gateway:
    room: Room
    port: int
    log: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def resident_bytes(self) -> int:
        return self._status("VmRSS")

    @property
    def peak_bytes(self) -> int:
        """Since `forget_peak`."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        self._proc("clear_refs").write_text("5")

    @property
    def open_files(self) -> int:
        return len(list(self._proc("fd").iterdir()))

    def metric(self, line: str) -> float:
        """The number behind `name{labels}`, or 0."""
        page = httpx.get(f"{self.url}/metrics", trust_env=False, timeout=30).text.splitlines()
        return next((float(x.rpartition(" ")[2]) for x in page if x.startswith(line + " ")), 0.0)

    def in_flight(self) -> float:
        return self.metric("thumbwheel_serving_in_flight")

    def come_to_rest(self, open_files: int) -> None:
        """Until nothing is being answered, and no more files are open than these."""
        ends = time.monotonic() + REST_SECONDS
        while (left := (self.in_flight(), self.open_files)) > (0, open_files) or left[0]:
            assert time.monotonic() < ends, f"in flight, open files: {left}; before {open_files}"
            time.sleep(0.05)

    def _status(self, name: str) -> int:
        lines = self._proc("status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

    def _proc(self, name: str) -> Path:
        assert self.room.process is not None
        return Path(f"/proc/{self.room.process.pid}/{name}")


@contextmanager
def gateway(folder: Path, engine: str, *, log: str | None = None, **more: str) -> Iterator[Gateway]:
    """Ready, with `model-v1` as stable until the log says otherwise; `more` of its settings."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    said = {
        "LOG": log or f"sqlite:///{folder}/log.db",
        "SECRET": SECRET,
        "ENGINE_URL": engine,
        "SERVING_PORT": str(port),
        "SERVING_SPOOL": str(folder / "spool"),
        "SERVING_FIRST_STABLE": "model-v1",
        **{name.upper(): value for name, value in more.items()},
    }
    env = {k: v for k, v in os.environ.items() if not k.startswith("THUMBWHEEL_")}
    env |= {f"THUMBWHEEL_{name}": value for name, value in said.items()}
    room = Room("serving", f"http://127.0.0.1:{port}/readyz", env, folder / "gateway.out")
    try:
        room.start()
        room.wait()
        yield Gateway(room, port, said["LOG"])
    finally:
        room.kill()
