"""A process on one core of this machine: started, watched by /proc, ended with its children."""

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[3]
START_SECONDS, STOP_SECONDS = 60.0, 10.0
SETTLE_SECONDS, IDLE_SECONDS, IDLE_SHARE = 60.0, 0.1, 0.25
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1_000_000


@dataclass(frozen=True)
class Process:
    """`ready` answers 200 where it is."""

    popen: subprocess.Popen[bytes]
    core: int
    ready: str
    output: Path

    def wait(self) -> None:
        ends = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self.popen.poll() is not None or time.monotonic() > ends:
                raise SystemExit(f"{self.ready} is not answered: {self._said()}")
            time.sleep(0.05)
        self._pin()

    def settle(self) -> None:
        """Until it does no more of what it was asked before: it must look idle three times."""
        ends, quiet = time.monotonic() + SETTLE_SECONDS, 0
        while quiet < 3:
            before = self.cpu_seconds
            time.sleep(IDLE_SECONDS)
            quiet = quiet + 1 if self.cpu_seconds - before < IDLE_SHARE * IDLE_SECONDS else 0
            if time.monotonic() > ends:
                raise SystemExit(f"{self.ready} is busy {SETTLE_SECONDS:.0f} s after its load")

    def end(self) -> None:
        """So that it can write down what it has to."""
        self.popen.send_signal(signal.SIGTERM)
        try:
            self.popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()

    @property
    def cpu_seconds(self) -> float:
        """Of all its processes and threads, in user and kernel mode."""
        return sum(int(stat[11]) + int(stat[12]) for stat in self._stats()) / _TICKS

    @property
    def resident_mb(self) -> float:
        return sum(int(stat[21]) for stat in self._stats()) * _PAGE_MB

    def threads(self) -> list[float]:
        """What of the processor each of its threads has had, in seconds, the most first."""
        stats = map(_fields, Path(f"/proc/{self.popen.pid}/task").iterdir())
        return sorted(((int(s[11]) + int(s[12])) / _TICKS for s in stats if s), reverse=True)

    def _pin(self) -> None:
        """To its core from now on: it has started on all of them, which takes half as long."""
        for stat in Path("/proc").glob("[0-9]*/task/[0-9]*"):
            fields = _fields(stat)
            if fields and int(fields[3]) == self.popen.pid:
                os.sched_setaffinity(int(stat.name), {self.core})

    def _stats(self) -> list[list[str]]:
        every = (_fields(path) for path in Path("/proc").iterdir() if path.name.isdigit())
        return [stat for stat in every if stat and int(stat[3]) == self.popen.pid]

    def _is_ready(self) -> bool:
        try:
            return httpx.get(self.ready, timeout=2, trust_env=False, verify=False).is_success
        except httpx.TransportError:
            return False

    def _said(self) -> str:
        return self.output.read_text(errors="replace")[-3000:]


def two_cores() -> tuple[int, int]:
    """One for the proxy, one for the engine and the load."""
    found = sorted(os.sched_getaffinity(0))
    if len(found) < 2:
        raise SystemExit(f"{len(found)} core may be used; expected 2")
    return found[0], found[1]


def start(
    command: list[str], *, core: int, env: dict[str, str], ready: str, output: Path
) -> Process:
    """In a session of its own: its children are told by it."""
    with output.open("wb") as file:
        popen = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=file, stderr=file, start_new_session=True
        )
    return Process(popen, core, ready, output)


def _fields(process: Path) -> list[str]:
    """Of /proc/PID/stat, from the third one on; none where it has just ended."""
    try:
        return process.joinpath("stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
