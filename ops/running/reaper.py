"""Ends the process groups of a supervisor that died without ending them. Knows no program.

A process of its own, at the far end of a pipe that closes when the supervisor is gone, kill -9
included. Not PR_SET_PDEATHSIG: that reaches only the leader of a group, while vLLM's engine is a
child of its leader, and to set it means to run Python between fork and exec.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress


class Reaper:
    """The supervisor's end of the pipe."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._process = _start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def watch(self, group: int) -> None:
        self._groups.add(group)
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        self._groups.discard(group)
        self._tell(f"-{group}\n")

    def close(self) -> None:
        _leave(self._process)

    def _tell(self, line: str) -> None:
        try:
            _write(self._process, line)
        except BrokenPipeError:  # the reaper itself was killed: a new one learns all there is
            _leave(self._process)
            self._process = _start()
            _write(self._process, "".join(f"+{group}\n" for group in sorted(self._groups)))


def _start() -> subprocess.Popen[str]:
    # By its path and without site-packages: it is up in 15 ms. In a session of its own: Ctrl-C
    # in the terminal does not reach it.
    argv = [sys.executable, "-I", "-S", __file__]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, text=True, start_new_session=True)


def _write(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


def _leave(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.close()
    process.wait()


def groups_left(lines: Iterable[str]) -> set[int]:
    """The groups that were named and not taken back, once the lines have ended."""
    groups: set[int] = set()
    for line in lines:
        change = groups.add if line.startswith("+") else groups.discard
        change(int(line[1:]))
    return groups


def main() -> None:
    for group in groups_left(sys.stdin):
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
