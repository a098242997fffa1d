"""What the supervisor shows: lines with the name of who wrote them, and who is waited for.

Knows nothing of processes. On a terminal in colours, elsewhere plain.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_red")
_MOST_BYTES = 1 << 20  # of a file that are shown at once


class Screen:
    """`show_lines=False` keeps what the programs write off the screen."""

    def __init__(
        self,
        console: Console | None = None,
        *,
        show_lines: bool = True,
        patience_seconds: float = 2,  # what is quicker needs no progress
    ) -> None:
        self._console = console or Console()
        self._show_lines = show_lines
        self._patience_seconds = patience_seconds
        self._colours: dict[str, str] = {}
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("waiting for {task.description}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )

    def say(self, text: str) -> None:
        self._print(Text(text, style="bold"))

    def line(self, name: str, text: str) -> None:
        if self._show_lines:
            colour = self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])
            self._print(Text.assemble((f"{name:<8} | ", colour), text))

    @contextmanager
    def waiting(self, name: str) -> Iterator[None]:
        task = self._progress.add_task(name, total=None, visible=False)
        shown = asyncio.get_running_loop().call_later(
            self._patience_seconds, lambda: self._progress.update(task, visible=True)
        )
        self._progress.start()
        try:
            yield
        finally:
            shown.cancel()
            self._progress.remove_task(task)
            if not self._progress.tasks:
                self._progress.stop()

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)  # a terminal breaks lines, a file keeps them


class Tail:
    """The whole lines added to a file since it was last asked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = size_of(path)

    def lines(self) -> list[str]:
        data = _read(self._path, self._at)
        whole = len(data) if len(data) == _MOST_BYTES else data.rfind(b"\n") + 1
        self._at += whole
        return _lines(data[:whole])


def last_lines(path: Path, count: int, start: int = 0) -> list[str]:
    """None of those before `start`, in bytes."""
    return _lines(_read(path, max(start, size_of(path) - _MOST_BYTES)))[-count:]


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _read(path: Path, start: int) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        file.seek(start)
        return file.read(_MOST_BYTES)


def _lines(data: bytes) -> list[str]:
    """Of a progress bar that was drawn over itself, only the last state."""
    lines = data.decode(errors="replace").removesuffix("\n").split("\n")
    return [line.rstrip("\r").rpartition("\r")[2] for line in lines if line]
